//! Databases with dead letters in them, queues without workers, and `orderly` as a process.

use std::process::{Command, Output};

use orderly_devstack::{TestBed, wait_for};
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::broker::{Broker, Deliveries};
use orderly_runtime::config::Reader;
use orderly_runtime::message::Delivery;
use serde_json::Value;

/// A letter to file: its number, and what is special about it.
pub(crate) struct Letter<'a> {
    pub(crate) number: u32,
    pub(crate) reason: &'a str,
    pub(crate) text: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) message_id: Option<&'a str>,
    pub(crate) body: &'a str,
}

/// A proper order whose processing failed.
pub(crate) const POISON: Letter<'_> = Letter {
    number: 1,
    reason: "poison",
    text: "order 17 fails",
    kind: "order.place.v1",
    routing_key: "order.place.v1",
    message_id: Some("m-1"),
    body: r#"{"order_id":"o"}"#,
};

/// Tables and queues.
pub(crate) struct World {
    pub(crate) bed: TestBed,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { bed: TestBed::new().unwrap() };
        world.succeed(&["migrate"]);
        world.succeed(&["setup"]);
        world
    }

    /// Files a letter in the database of the order worker; its id.
    pub(crate) fn file(&self, letter: &Letter<'_>) -> String {
        let id = format!("00000000-0000-4000-8000-{:012}", letter.number);
        let Letter { reason, text, kind, routing_key, body, .. } = letter;
        let message_id = letter.message_id.map_or("NULL".to_owned(), |id| format!("'{id}'"));
        let mut properties = serde_json::json!({
            "type": kind, "content_type": "application/json",
            "headers": {"mine": {"text": "kept"}, "orderly-attempts": {"i64": 5}},
        });
        if let Some(id) = letter.message_id {
            properties["message_id"] = id.into();
        }
        let minutes = 1_000 - letter.number;
        self.sql(&format!(
            "INSERT INTO dead_letters (id, reason, explanation, attempts, queue, exchange,
                 routing_key, kind, message_id, correlation_id, worker, first_at, last_at,
                 properties, body)
             VALUES ('{id}', '{reason}', '{text}', 5, 'order.new', 'orderly.commands',
                 '{routing_key}', '{kind}', {message_id}, 'o', 'orderly-order 1',
                 '2026-01-01T00:00:00Z', now() - {minutes} * interval '1 minute',
                 '{properties}', convert_to('{body}', 'UTF8'))"
        ));
        id
    }

    /// Runs statements in the order database.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let ran = self.bed.endpoints().query(&self.bed.database("order"), statement);
        ran.unwrap_or_else(|error| panic!("{statement}: {error:#}")).trim().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderly"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDERLY_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(self.bed.env()).env("ORDERLY_OPERATOR", "ada");
        command.stdin(std::process::Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that has to succeed; what it says.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, with its JSON, line by line.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.succeed(&[arguments, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs a command that has to fail with this status; what it complains about.
    pub(crate) fn fail(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    }

    pub(crate) fn status(&self, id: &str) -> String {
        self.sql(&format!("SELECT status FROM dead_letters WHERE id = '{id}'"))
    }

    /// Takes `count` messages out of the queue of new orders.
    pub(crate) async fn receive(&self, count: usize) -> Vec<Delivery> {
        let variables = self.bed.env();
        let address = Reader::new(variables).address("ORDERLY_BROKER", &["amqp"]).unwrap();
        let broker = AmqpBroker::connect(&address, "test").await.unwrap();
        let (mut deliveries, mut acks) = broker.consume("order.new", 100).await.unwrap();
        let mut received = Vec::new();
        while received.len() < count {
            let next = tokio::time::timeout(std::time::Duration::from_secs(20), deliveries.next());
            received.push(next.await.expect("a message in time").unwrap().unwrap());
        }
        use orderly_runtime::broker::Acks;
        acks.ack_up_to(received.last().map_or(0, |it| it.tag)).await.unwrap();
        acks.close().await.unwrap();
        broker.close().await;
        received
    }

    /// How many messages lie in the queue of new orders, once there are as many.
    pub(crate) fn queued(&self, count: u64) {
        let path = format!("/api/queues/{}/order.new", self.bed.vhost());
        wait_for("the queue to be counted", std::time::Duration::from_secs(20), || {
            let found = self.bed.endpoints().management_get(&path)?["messages"].as_u64();
            Ok((found == Some(count)).then_some(()))
        })
        .unwrap();
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
