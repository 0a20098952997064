//! Choosing an endpoint, and learning how the attempt went.
//!
//! `cargo bench -p upstream --bench select`

#![expect(clippy::expect_used, reason = "a bench that cannot select has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use dialects::Dialect;
use pipeline::policy::{Address, Credentials, Endpoint, Model, PiiAllowance, Timeouts};
use pipeline::ports::{AttemptReport, Backends};
use upstream::{BalanceConfig, Pool, Strategy};

fn model(endpoints: u16) -> Model {
    let timeout = Duration::from_secs(60);
    let endpoint = |number: u16| Endpoint {
        name: Arc::from(format!("endpoint-{number}")),
        address: Address {
            origin: Arc::from(format!("http://127.0.0.1:{}", 8000 + number)),
            tls: false,
            host: Arc::from("127.0.0.1"),
            port: 8000 + number,
        },
        path_prefix: Arc::from(""),
        weight: 1,
        max_parallel: Some(64),
        timeouts: Timeouts { connect: timeout, first_token: timeout, idle: timeout, total: timeout },
        credentials: Credentials::None,
        headers: Vec::new(),
        dialects: vec![Dialect::ChatCompletions],
        internal: false,
        ask_usage: false,
    };
    Model {
        name: Arc::from("m"),
        upstream_name: Arc::from("m"),
        category: None,
        provider: Arc::from("vllm"),
        version: None,
        endpoints: (0..endpoints).map(|number| Arc::new(endpoint(number))).collect(),
        context_length: None,
        price: None,
        reasoning_family: None,
        pii: PiiAllowance::Everything,
        any_model: false,
    }
}

fn benches(criterion: &mut Criterion) {
    for (name, strategy) in [("least_busy", Strategy::LeastBusy), ("weighted", Strategy::Weighted)] {
        for endpoints in [1, 3, 16] {
            let pool = Pool::new(BalanceConfig { strategy, ..BalanceConfig::default() });
            let model = model(endpoints);
            criterion.bench_function(&format!("select_and_report/{name}/{endpoints}"), |bench| {
                bench.iter(|| {
                    let selected = pool.select(black_box(&model), Dialect::ChatCompletions, &[]);
                    let selected = selected.expect("every endpoint is free");
                    pool.report(&selected.endpoint, AttemptReport::Answered);
                    selected
                });
            });
        }
    }
}

criterion_group!(select, benches);
criterion_main!(select);
