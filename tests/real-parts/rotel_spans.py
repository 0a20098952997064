"""Runs the OTLP collector `rotel` and turns what it logs into one JSON object per span.

Not an OTLP client and not a store: it reads the text that `--debug-log-verbosity detailed` prints.

    rotel_spans.py run AGENT    starts the agent; stops it when stdin closes
    rotel_spans.py parse        reads such a log from stdin

`run` first prints one line {"grpc": "127.0.0.1:PORT", "http": "127.0.0.2:PORT"}, then spans as they become complete.
The kernel chooses both ports, so nothing collides; they are read back from /proc, hence Linux only. Closing stdin asks
the agent to end, which makes it drain: after that every span that it acknowledged has been printed.

A span is {"trace_id", "span_id", "parent_id" (null at a root), "name", "kind" ("server", "client", …), "start_ns",
"end_ns", "status": {"code": "unset" | "ok" | "error", "message"}, "attributes", "events": [{"name", "time_ns",
"attributes"}], "links": [{"trace_id", "span_id", "attributes"}], "resource", "scope": {"name", "version"}}.
Times are nanoseconds since 1970. Attribute values keep their types: an OTLP double is a JSON number with a point.
The log does not show a span's trace state, its flags, or dropped counts.

Invariant: a line that is no line of the log's own form continues the text before it, so line breaks within values survive.
Values that themselves imitate such lines cannot be told apart; tests do not send any.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

START_LIMIT_S = 20.0
POLL_S = 0.01

# The agent's own log lines stand between batches: coloured, and led by their time.
AGENT_LINE = re.compile(r"(\x1b\[2m)?\d{4}-\d\d-\d\dT[\d:.]+Z")
FORM = re.compile(
    r"(?P<resource>ResourceSpans #\d+)"
    r"|(?P<span>Span #\d+)"
    r"|(?P<event>SpanEvent #\d+)"
    r"|(?P<link>SpanLink #\d+)"
    r"|(?P<section>Resource attributes|InstrumentationScope attributes|Attributes|Events|Links):"
    r"|InstrumentationScope (?P<scope>.*)"
    r"|Resource SchemaURL:.*|ScopeSpans SchemaURL:.*|ScopeSpans #\d+| {5}-> Attributes::"
    r"| {4}(?P<field>Trace ID|Parent ID|ID|Name|Kind|Status code|Status message) *: (?P<field_value>.*)"
    r"|(?P<time>Start|End) time: (?P<time_value>\d+)"
    r"| {5}(?P<deep> {5})?-> (?P<key>.*?): (?P<value>.*)",
    re.DOTALL,
)
# Within a list, a comma separates values only where another typed value follows.
BETWEEN_VALUES = re.compile(r", (?=(?:Str|Int|Double|Bool|Slice|KvList|Bytes|Empty)\()")


def whole_lines(log: Iterable[str]) -> Iterator[re.Match]:
    """Joins each line of the log's form with the lines that continue its text."""
    pending: str | None = None
    for raw in log:
        line = raw.removesuffix("\n")
        if AGENT_LINE.match(line):
            continue
        if FORM.fullmatch(line):
            if pending is not None:
                yield matched(pending)
            pending = line
        elif pending is not None:
            pending += f"\n{line}"
    if pending is not None:
        yield matched(pending)


def matched(text: str) -> re.Match:
    form = FORM.fullmatch(text)
    if form is None:
        raise SystemExit(f"rotel_spans: the log has a form that is not known here: {text!r}")
    return form


def typed(text: str):
    """Reads `Str(a)`, `Int(1)`, `Slice(Str(a), Str(b))` and so on; an unknown type stays text."""
    kind, _, inner = text.partition("(")
    inner = inner.removesuffix(")")
    match kind:
        case "Int":
            return int(inner)
        case "Double":
            return float(inner)
        case "Bool":
            return inner.lower() == "true"
        case "Slice":
            return [typed(value) for value in BETWEEN_VALUES.split(inner)] if inner else []
        case "Str":
            return inner
        case _:
            return text


def spans(log: Iterable[str]) -> Iterator[dict]:
    """Yields each span once the line after its last one has been read, or the log has ended."""
    reader = Reader()
    for form in whole_lines(log):
        if finished := reader.read(form):
            yield finished
    if reader.span:
        yield reader.span


class Reader:
    """What has been read of the current batch: its resource, its scope, and the span that is still open."""

    def __init__(self) -> None:
        self.resource: dict = {}
        self.scope: dict = {}
        self.span: dict | None = None
        # The event or link that is open, and the mapping that attribute lines go to.
        self.entry: dict | None = None
        self.attributes: dict = {}

    def read(self, form: re.Match) -> dict | None:
        """Takes in one line; returns the span that it ends, if any."""
        found = form.groupdict()
        if found["resource"]:
            # A span of the next batch must not share this one's mapping.
            self.resource = {}
            return self.take()
        if found["scope"] is not None:
            # The version has no space in it, a name may.
            name, _, version = found["scope"].rpartition(" ")
            self.scope = {"name": name, "version": version}
            return self.take()
        if found["span"]:
            finished = self.take()
            self.open_span()
            return finished
        self.read_part(found)
        return None

    def take(self) -> dict | None:
        finished, self.span = self.span, None
        return finished

    def open_span(self) -> None:
        self.span = {
            "status": {"code": "unset", "message": ""},
            "attributes": {},
            "events": [],
            "links": [],
            "resource": self.resource,
            "scope": self.scope,
        }

    def read_part(self, found: dict) -> None:
        if found["section"]:
            self.open_section(found["section"])
        elif found["field"]:
            self.read_field(found["field"], found["field_value"])
        elif found["time"]:
            self.span[f"{found['time'].lower()}_ns"] = int(found["time_value"])
        elif found["event"] or found["link"]:
            self.open_entry("events" if found["event"] else "links")
        elif found["key"] and self.entry is not None and not found["deep"]:
            self.read_entry(found["key"], found["value"])
        elif found["key"]:
            self.attributes[found["key"]] = typed(found["value"])

    def open_section(self, section: str) -> None:
        self.entry = None
        match section:
            case "Resource attributes":
                self.attributes = self.resource
            case "InstrumentationScope attributes":
                # Read and dropped: no test looks at them.
                self.attributes = {}
            case "Attributes":
                self.attributes = self.span["attributes"]

    def open_entry(self, kind: str) -> None:
        self.entry = {"attributes": {}}
        self.attributes = self.entry["attributes"]
        self.span[kind].append(self.entry)

    def read_entry(self, part: str, value: str) -> None:
        names = {"Name": "name", "Trace ID": "trace_id", "ID": "span_id"}
        if part in names:
            self.entry[names[part]] = value
        elif part == "Timestamp":
            self.entry["time_ns"] = int(value)

    def read_field(self, field: str, value: str) -> None:
        match field:
            case "Trace ID":
                self.span["trace_id"] = value
            case "Parent ID":
                self.span["parent_id"] = value or None
            case "ID":
                self.span["span_id"] = value
            case "Name":
                self.span["name"] = value
            case "Kind":
                self.span["kind"] = value.removeprefix("SPAN_KIND_").lower()
            case "Status code":
                self.span["status"]["code"] = value.removeprefix("STATUS_CODE_").lower()
            case "Status message":
                self.span["status"]["message"] = value


def listening(process: subprocess.Popen) -> dict[str, str]:
    """The TCP addresses on which a process listens, by their host, as `host: "host:port"`."""
    sockets = set()
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(descriptor))
        except FileNotFoundError:
            # It was closed between the listing and the look.
            continue
    found = {}
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = row.split()
        local, state, inode = columns[1], columns[3], columns[9]
        if state == "0A" and f"socket:[{inode}]" in sockets:
            address, port = local.split(":")
            host = ".".join(str(byte) for byte in reversed(bytes.fromhex(address)))
            found[host] = f"{host}:{int(port, 16)}"
    return found


def addresses(process: subprocess.Popen) -> dict[str, str]:
    """Waits until the agent listens on both doors and says where."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        found = listening(process)
        if "127.0.0.1" in found and "127.0.0.2" in found:
            return {"grpc": found["127.0.0.1"], "http": found["127.0.0.2"]}
        time.sleep(POLL_S)
    raise SystemExit(f"rotel_spans: the agent did not listen within {START_LIMIT_S:.0f} s (exit code {process.poll()})")


def stop_with_stdin(process: subprocess.Popen) -> None:
    sys.stdin.buffer.read()
    process.send_signal(signal.SIGTERM)


def run(agent: str) -> int:
    """Runs the agent until stdin closes; returns its exit code."""
    options = "--exporter blackhole --debug-log traces --debug-log-verbosity detailed --disable-batching"
    doors = "--otlp-grpc-endpoint 127.0.0.1:0 --otlp-http-endpoint 127.0.0.2:0"
    process = subprocess.Popen(
        [agent, "start", *options.split(), *doors.split()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        print(json.dumps(addresses(process)), flush=True)
        threading.Thread(target=stop_with_stdin, args=(process,), daemon=True).start()
        print_spans(process.stdout)
        return process.wait()
    finally:
        process.kill()


def print_spans(log: Iterable[str]) -> None:
    for span in spans(log):
        print(json.dumps(span, ensure_ascii=False), flush=True)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["run", agent]:
            return run(agent)
        case ["parse"]:
            print_spans(sys.stdin)
            return 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
