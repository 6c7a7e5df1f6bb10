//! Databases full of orders that are as they should be, and the audit as a process.

use std::process::{Command, Stdio};

use orderly_devstack::TestBed;
use serde_json::Value;

/// The articles `a` and `b` are ordered; the others only lie there.
const ARTICLES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Of twenty orders one is rejected, one cancelled, the others confirmed.
const STATUS: &str = "CASE n % 20 WHEN 0 THEN 'rejected' WHEN 1 THEN 'cancelled' \
                      ELSE 'confirmed' END";

/// Tables, queues and orders.
pub(crate) struct World {
    pub(crate) bed: TestBed,
}

/// The id of an order.
pub(crate) fn id(number: usize) -> String {
    format!("o-{number:07}")
}

impl World {
    /// A world without orders.
    pub(crate) fn empty() -> Self {
        let world = Self { bed: TestBed::new().unwrap() };
        for arguments in [["migrate"], ["setup"]] {
            let output = world.orderly(&arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        world
    }

    /// A world with `count` orders that have ended.
    pub(crate) fn with_orders(count: usize) -> Self {
        let world = Self::empty();
        world.place_orders(count);
        world.keep_stock(count);
        world.take_money(count);
        world
    }

    /// `orderly` with the variables of this world as its only `ORDERLY_*` ones.
    pub(crate) fn orderly(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderly"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDERLY_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(self.bed.env());
        command
    }

    /// Audits; whether the exit status says that nothing is violated, and the report.
    pub(crate) fn audit(&self, arguments: &[&str]) -> (bool, Value) {
        let arguments = [&["audit", "--json"], arguments].concat();
        let output = self.orderly(&arguments).stderr(Stdio::piped()).output().unwrap();
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.success(), report)
    }

    /// Runs statements in the database of a service.
    pub(crate) fn sql(&self, service: &str, statement: &str) -> String {
        let database = self.bed.database(service);
        let ran = self.bed.endpoints().query(&database, statement);
        ran.unwrap_or_else(|error| panic!("{statement}: {error:#}"))
    }

    fn place_orders(&self, count: usize) {
        let lines = r#"[{"sku":"a","quantity":2,"unit_price":100},
            {"sku":"b","quantity":1,"unit_price":50},{"sku":"b","quantity":1,"unit_price":50},
            {"sku":"POST","quantity":1,"unit_price":300,"service":true}]"#;
        self.sql(
            "order",
            &format!(
                "INSERT INTO orders (order_id, currency, payment_token, lines, total, placed_at,
                     status, version, reason, round, owes_release, owes_refund, refunded, ended_at)
                 SELECT 'o-' || lpad(n::text, 7, '0'), 'GBP', 'tok_visa', '{lines}', 600, now(),
                     {STATUS}, CASE n % 20 WHEN 0 THEN 2 WHEN 1 THEN 4 ELSE 3 END,
                     CASE n % 20 WHEN 0 THEN 'out_of_stock' WHEN 1 THEN 'payment_declined' END,
                     0, false, false, false, now()
                 FROM generate_series(1, {count}) AS n"
            ),
        );
        self.sql(
            "order",
            "INSERT INTO order_history (order_id, version, at, from_status, to_status,
                 cause_source, cause_id, kind)
             SELECT order_id, v, now(), lag(step) OVER (PARTITION BY order_id ORDER BY v), step,
                 'client', order_id || '/' || v, 'test'
             FROM orders, unnest(CASE status
                 WHEN 'rejected' THEN ARRAY['pending', 'rejected']
                 WHEN 'cancelled' THEN ARRAY['pending', 'reserved', 'cancelling', 'cancelled']
                 ELSE ARRAY['pending', 'reserved', 'confirmed'] END)
                 WITH ORDINALITY AS s (step, v)",
        );
    }

    fn keep_stock(&self, count: usize) {
        self.sql(
            "stock",
            &format!(
                "INSERT INTO reservations (order_id, status, lines, shortages)
                 SELECT 'o-' || lpad(n::text, 7, '0'),
                     CASE {STATUS} WHEN 'confirmed' THEN 'committed'
                         WHEN 'cancelled' THEN 'released' ELSE 'rejected' END,
                     '{{\"a\": 2, \"b\": 2}}',
                     CASE n % 20 WHEN 0 THEN '[{{\"sku\": \"a\"}}]' ELSE '[]' END::jsonb
                 FROM generate_series(1, {count}) AS n;
                 INSERT INTO stock_ledger (sku, order_id, operation, pieces, at)
                 SELECT sku, order_id, operation, 2, now()
                 FROM reservations, unnest(ARRAY['a', 'b']) AS sku,
                     unnest(ARRAY['reserve', CASE status WHEN 'released' THEN 'release'
                         ELSE 'commit' END]) AS operation
                 WHERE status <> 'rejected'"
            ),
        );
        for sku in ARTICLES {
            self.sql(
                "stock",
                &format!(
                    "INSERT INTO adjustments (adjustment_id, sku, delta, on_hand, reserved)
                     VALUES ('came-{sku}', '{sku}', 1000000, 1000000, 0);
                     INSERT INTO stock_ledger (sku, adjustment_id, operation, pieces, at)
                     VALUES ('{sku}', 'came-{sku}', 'adjust', 1000000, now());
                     INSERT INTO items (sku, on_hand, reserved)
                     SELECT '{sku}', 1000000 - coalesce(sum(pieces), 0), 0
                     FROM stock_ledger WHERE sku = '{sku}' AND operation = 'commit'"
                ),
            );
        }
    }

    fn take_money(&self, count: usize) {
        self.sql(
            "payment",
            &format!(
                "INSERT INTO payments
                     (order_id, status, amount, currency, payment_token, refund_wanted)
                 SELECT 'o-' || lpad(n::text, 7, '0'),
                     CASE {STATUS} WHEN 'confirmed' THEN 'captured' ELSE 'refunded' END,
                     600, 'GBP', 'tok_visa', false
                 FROM generate_series(1, {count}) AS n WHERE n % 20 <> 0;
                 INSERT INTO payment_ledger (order_id, operation, account, amount, currency, at)
                 SELECT order_id, operation, account,
                     CASE WHEN (operation = 'capture') = (account = 'provider')
                         THEN 600 ELSE -600 END, 'GBP', now()
                 FROM payments, unnest(ARRAY['capture', 'refund']) AS operation,
                     unnest(ARRAY['provider', 'sales']) AS account
                 WHERE operation = 'capture' OR status = 'refunded'"
            ),
        );
    }
}

/// The codes of all violations, each with what it is about, in order.
pub(crate) fn violations(report: &Value) -> Vec<(String, String)> {
    let list = report["violations"]["list"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found: Vec<_> =
        list.iter().map(|one| (text(&one["subject"]), text(&one["code"]))).collect();
    found.sort();
    found
}
