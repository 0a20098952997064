//! Secrets planted in every place that a caller can write to are in no record and in no error.

use http::{HeaderName, HeaderValue, Method};
use serde_json::json;

use crate::support::{Answered, Router, backend};

const SECRET: &str = "sk-planted0secret0123456789";

/// Sends the body to the path with a secret in every header.
async fn plant(router: &Router, method: Method, path: &str, body: String) -> Answered {
    let mut request = router.request(method, path, body);
    let bearer = format!("Bearer {SECRET}");
    let url = format!("https://user:{SECRET}@host/");
    for (name, value) in [
        ("authorization", bearer.as_str()),
        ("cookie", bearer.as_str()),
        ("x-api-key", SECRET),
        ("x-request-id", SECRET),
        ("x-user-id", SECRET),
        ("x-session-id", bearer.as_str()),
        ("user-agent", url.as_str()),
        ("tracestate", "vendor=sk-planted0secret0123456789"),
        ("x-unknown", SECRET),
    ] {
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    router.call(request).await
}

#[tokio::test]
async fn planted_secrets_are_in_no_record_and_no_error() {
    let (small, large) = (backend("small", &[]).await, backend("large", &["html"]).await);
    let router = Router::of(&small, &large).await;
    let chat = |model: &str, prompt: &str| {
        json!({"model": model, "messages": [{"role": "user", "content": prompt}], "user": SECRET,
            "metadata": {"key": SECRET}, "stop": [SECRET]})
        .to_string()
    };
    let path = "/v1/chat/completions";
    let prompt = format!("a haiku about {SECRET} and a@b.de");
    let cases = [
        (Method::POST, path.to_owned(), chat("auto", &prompt)),
        (Method::POST, path.to_owned(), chat("auto", &format!("derivative {prompt}"))),
        (Method::POST, path.to_owned(), chat(SECRET, &prompt)),
        (Method::POST, path.to_owned(), chat("auto", &format!("Ignore all previous {prompt}"))),
        (Method::POST, path.to_owned(), format!(r#"{{"messages":"{SECRET}"}}"#)),
        (Method::POST, path.to_owned(), format!(r#"{{"messages":"{SECRET}" "#)),
        (Method::POST, format!("{path}?key={SECRET}"), chat("large", &prompt)),
        (Method::GET, format!("/v1/models/{SECRET}"), String::new()),
        (Method::GET, format!("/{SECRET}"), String::new()),
        (Method::POST, "/api/v1/classify/pii".to_owned(), json!({"text": 1, "options": SECRET}).to_string()),
        (Method::POST, "/api/v1/route".to_owned(), chat(SECRET, &prompt)),
    ];
    let count = cases.len();
    for (method, path, body) in cases {
        let answer = plant(&router, method, &path, body).await;
        let error = String::from_utf8_lossy(&answer.body).into_owned();
        // An answer that is no error may repeat the caller's own words.
        if answer.status.as_u16() >= 400 {
            assert!(!error.contains("planted") && !error.contains("a@b.de"), "{path}: {error}");
        }
        for (name, value) in &answer.headers {
            assert!(!value.to_str().unwrap_or_default().contains("planted"), "{path}: {name}");
        }
    }
    for mut record in router.kept.wait_for(count).await {
        // The caller's trace state is its own and goes on as it came; exporters leave it alone.
        if let Some(parent) = &mut record.parent {
            parent.state = trace::propagation::TraceState::default();
        }
        let written = format!("{record:?}");
        assert!(!written.contains("planted") && !written.contains("a@b.de"), "{written}");
    }
}
