"""One question of OpenAI's Python client, traced as an application would trace it, told as one line of JSON.

    BASE_URL=http://127.0.0.1:PORT/v1 OTLP_ENDPOINT=http://127.0.0.1:PORT python traced_openai.py INSTRUMENTATION [stream]

INSTRUMENTATION is `openllmetry` (opentelemetry-instrumentation-openai) or `openinference`
(openinference-instrumentation-openai). Below it the HTTP client is instrumented, which writes the `traceparent` header.
Variables besides: PROMPT. The line: {"trace_id", "content"}. Every span has been delivered when it is printed.
"""

import json
import os
import sys

# Read when the instrumentation is imported; metrics would need a second exporter.
os.environ.setdefault("TRACELOOP_TRACE_CONTENT", "false")

import openai
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SERVICE = "client"
FLUSH_MS = 10_000


def instrumentor(name: str):
    match name:
        case "openllmetry":
            from opentelemetry.instrumentation.openai import OpenAIInstrumentor
        case "openinference":
            from openinference.instrumentation.openai import OpenAIInstrumentor
        case _:
            raise SystemExit(__doc__)
    return OpenAIInstrumentor()


def ask(client: openai.OpenAI, is_stream: bool) -> str:
    messages = [{"role": "user", "content": os.environ.get("PROMPT", "Hello")}]
    answer = client.chat.completions.create(model="auto", messages=messages, temperature=0.5, stream=is_stream)
    if not is_stream:
        return answer.choices[0].message.content
    return "".join(choice.delta.content or "" for chunk in answer for choice in chunk.choices)


def main(name: str, *options: str) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    exporter = OTLPSpanExporter(endpoint=os.environ["OTLP_ENDPOINT"], insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    instrumentor(name).instrument(tracer_provider=provider)
    HTTPX2ClientInstrumentor().instrument(tracer_provider=provider)
    with openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="test-key", max_retries=0) as client:
        with trace.get_tracer(SERVICE).start_as_current_span("question") as span:
            content = ask(client, "stream" in options)
    if not provider.force_flush(FLUSH_MS):
        raise SystemExit("the collector did not take the spans")
    provider.shutdown()
    print(json.dumps({"trace_id": format(span.get_span_context().trace_id, "032x"), "content": content}))


if __name__ == "__main__":
    main(*sys.argv[1:])
