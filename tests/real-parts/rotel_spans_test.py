"""Checks the instrument: what the OpenTelemetry SDK sends is what `rotel_spans.py` reads back.

Run by `./check` with the Python of the real parts; SEMANTIC_ROUTER_ROTEL names the collector.
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import rotel_spans

ATTRIBUTES = {
    "text": 'quotes ", (brackets), an arrow -> and\na second line: é',
    "count": 42,
    "ratio": 1.0,
    "flag": True,
    "list": ["a, b", "c"],
    "numbers": [1, 2],
    "empty": "",
    "Name": "not the name of the span",
}
EVENT = {"exception.type": "ValueError", "exception.message": "first\n  second"}
LINKED = {"trace": 1, "span": 2}


def send_trace(endpoint: str) -> None:
    """One trace of a server span, a failed client span with an event and a link, and a span that is ok."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

    provider = TracerProvider(resource=Resource.create({"service.name": "sender"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    tracer = provider.get_tracer("scope name", "1.2")
    link = Link(SpanContext(LINKED["trace"], LINKED["span"], is_remote=True), {"why": "test"})
    with tracer.start_as_current_span("root -> all", kind=SpanKind.SERVER, attributes=ATTRIBUTES):
        with tracer.start_as_current_span("failed", kind=SpanKind.CLIENT, links=[link]) as span:
            span.add_event("exception", EVENT)
            span.set_status(Status(StatusCode.ERROR, "it broke: badly"))
        with tracer.start_as_current_span("fine") as span:
            span.set_status(Status(StatusCode.OK))
    provider.shutdown()


class ReadBack(unittest.TestCase):
    """Everything that the log shows of a trace survives the way there and back."""

    @classmethod
    def setUpClass(cls) -> None:
        script = Path(rotel_spans.__file__)
        agent = subprocess.Popen(
            [sys.executable, str(script), "run", os.environ["SEMANTIC_ROUTER_ROTEL"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        cls.doors = json.loads(agent.stdout.readline())
        send_trace(cls.doors["grpc"])
        # Closing stdin at once: a span that was acknowledged must still come out.
        output, _ = agent.communicate(timeout=30)
        cls.exit_code = agent.returncode
        cls.spans = {span["name"]: span for span in map(json.loads, output.splitlines())}

    def test_the_agent_ends_well_and_nothing_is_lost(self) -> None:
        self.assertEqual(self.exit_code, 0)
        self.assertEqual(set(self.spans), {"root -> all", "failed", "fine"})
        self.assertNotEqual(self.doors["grpc"], self.doors["http"])

    def test_ids_join_the_spans_into_one_tree(self) -> None:
        root = self.spans["root -> all"]
        self.assertIsNone(root["parent_id"])
        for name in ("failed", "fine"):
            self.assertEqual(self.spans[name]["parent_id"], root["span_id"])
            self.assertEqual(self.spans[name]["trace_id"], root["trace_id"])
        self.assertLessEqual(root["start_ns"], self.spans["failed"]["start_ns"])
        self.assertLessEqual(self.spans["fine"]["end_ns"], root["end_ns"])

    def test_attributes_keep_their_values_and_types(self) -> None:
        read = self.spans["root -> all"]["attributes"]
        self.assertEqual(read, ATTRIBUTES)
        self.assertEqual({key: type(value) for key, value in read.items()}, {k: type(v) for k, v in ATTRIBUTES.items()})

    def test_kind_status_resource_and_scope(self) -> None:
        self.assertEqual([self.spans[name]["kind"] for name in self.spans], self.kinds_in_order())
        self.assertEqual(self.spans["failed"]["status"], {"code": "error", "message": "it broke: badly"})
        self.assertEqual(self.spans["fine"]["status"], {"code": "ok", "message": ""})
        self.assertEqual(self.spans["root -> all"]["status"], {"code": "unset", "message": ""})
        for span in self.spans.values():
            self.assertEqual(span["resource"]["service.name"], "sender")
            self.assertEqual(span["scope"]["version"], "1.2")

    def kinds_in_order(self) -> list[str]:
        kinds = {"root -> all": "server", "failed": "client", "fine": "internal"}
        return [kinds[name] for name in self.spans]

    def test_events_and_links(self) -> None:
        failed = self.spans["failed"]
        [event] = failed["events"]
        self.assertEqual((event["name"], event["attributes"]), ("exception", EVENT))
        self.assertGreaterEqual(event["time_ns"], failed["start_ns"])
        [link] = failed["links"]
        self.assertEqual(int(link["trace_id"], 16), LINKED["trace"])
        self.assertEqual(int(link["span_id"], 16), LINKED["span"])
        self.assertEqual(link["attributes"], {"why": "test"})
        self.assertEqual(self.spans["fine"]["events"], [])


if __name__ == "__main__":
    unittest.main()
