//! Dead letters in the hands of an operator, while workers work: what is mended gets done, once.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use orderly_contracts::routes::STOCK_COMMANDS;
use orderly_devstack::TestBed;
use orderly_e2e::{Message, System, eventually, place, program};
use serde_json::{Value, json};

/// A cause that kills messages and can be mended: somebody forbade orders worth more than this.
const FORBID: &str = "ALTER TABLE orders ADD CONSTRAINT only_small CHECK (total <= 500)";
const ALLOW: &str = "ALTER TABLE orders DROP CONSTRAINT only_small";

fn command(system: &System, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program("orderly")?);
    command.arg("dead").args(arguments).envs(system.environment());
    command.env("ORDERLY_OPERATOR", "ada").env_remove("ORDERLY_TEST_NODES");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    let text = str::from_utf8(&output.stdout)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Runs `orderly dead` with these arguments; the JSON lines it says.
fn dead(system: &System, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = command(system, &[arguments, &["--json"]].concat())?.output()?;
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {why}");
    lines(&output)
}

/// The same, where it has to end with status 1.
fn fail(system: &System, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = command(system, &[arguments, &["--json"]].concat())?.output()?;
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{arguments:?}: {}: {why}", output.status);
    lines(&output)
}

fn edit(system: &System, arguments: &[&str], body: &Value) -> Result<Value> {
    let mut command = command(system, &[&["edit", "--body", "-", "--json"], arguments].concat())?;
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("stdin")?.write_all(body.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(lines(&output)?.remove(0))
}

/// Waits until so many letters are open; they, the latest first.
async fn open_letters(system: &System, count: usize) -> Result<Vec<Value>> {
    eventually(&format!("{count} open letters"), async || {
        let open = dead(system, &["list", "--status", "open"])?;
        Ok((open.len() == count).then_some(open))
    })
    .await
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// How much the orders `o1`, `o2` and so on have left behind that must not be there twice.
async fn effects(system: &System) -> Result<Vec<i64>> {
    let databases = &system.databases;
    let tables = [
        (&databases.order, "order_history"),
        (&databases.stock, "stock_ledger"),
        (&databases.payment, "payment_ledger"),
    ];
    let mut counts = vec![];
    for (database, table) in tables {
        let count = format!("SELECT count(*) FROM {table} WHERE order_id LIKE 'o%'");
        counts.push(database.query_one(&count, &[]).await?.get(0));
    }
    Ok(counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_cause_is_mended_is_replayed_and_done_once() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 100)]).await?;
    databases.item_reaches("lamp", 100, 0).await?;
    databases.order.batch_execute(FORBID).await?;
    let order = |n: i64| place(&format!("o{n}"), "lamp", n, "tok_visa");
    client.publish((1..=6).map(order)).await?;
    open_letters(&system, 4).await?;
    let groups = dead(&system, &["groups"])?;
    assert_eq!(
        (groups.len(), &groups[0]["letters"], &groups[0]["reason"]),
        (1, &json!(4), &json!("poison"))
    );
    assert!(text(&groups[0], "text").contains("only_small"), "the cause is told: {groups:?}");
    let group = text(&groups[0], "group");

    // Nothing is mended: the canary dies again, and the others stay where they are.
    let said = fail(&system, &["replay", "--group", group, "--canary", "1", "--yes"])?;
    assert_eq!(said[0]["stopped"], "1 letter of the canary failed again");
    assert_eq!(
        (&said[0]["progress"]["sent"], &said[0]["progress"]["failed_again"]),
        (&json!(1), &json!(1))
    );
    let open = open_letters(&system, 4).await?;
    let replayed: Vec<i64> = open.iter().filter_map(|it| it["replays"].as_i64()).collect();
    assert_eq!(replayed.iter().sum::<i64>(), 1, "one was sent: {open:?}");

    databases.order.batch_execute(ALLOW).await?;
    let said =
        dead(&system, &["replay", "--group", group, "--canary", "2", "--wait", "30s", "--yes"])?;
    assert_eq!(said[0]["progress"]["resolved"], 4, "{said:?}");
    assert_eq!(databases.settled(6).await?["confirmed"], 6);
    databases.item_reaches("lamp", 100 - 21, 0).await?;
    assert!(dead(&system, &["groups"])?.is_empty());
    // What came of the first replay is not what came of the second.
    let replays = dead(&system, &["replays"])?;
    let came_of = |n: usize| ["sent", "resolved", "failed_again"].map(|it| replays[n][it].as_i64());
    assert_eq!(came_of(0), [4, 4, 0].map(Some));
    assert_eq!(came_of(1), [1, 0, 1].map(Some));

    // What is done already is told by its id: a further replay has no effect at all.
    let before = effects(&system).await?;
    let again = ["replay", "--group", group, "--status", "resolved", "--wait", "30s", "--yes"];
    assert_eq!(dead(&system, &again)?[0]["progress"]["resolved"], 4);
    // It came behind the others, so they have had their turn when it is through.
    client.publish([place("after", "lamp", 1, "tok_visa")]).await?;
    databases.reaches("after", "confirmed").await?;
    databases.item_reaches("lamp", 100 - 22, 0).await?;
    assert_eq!(effects(&system).await?, before);

    let mut told: Vec<String> = dead(&system, &["log"])?
        .iter()
        .map(|it| format!("{} by {}", text(it, "action"), text(it, "operator")))
        .collect();
    told.sort();
    told.dedup();
    assert_eq!(
        told,
        [
            "failed_again by orderly-order 0.1.0",
            "replay by ada",
            "resolved by inbox",
            "stop by ada"
        ]
    );
    system.expect_clean_audit()?;
    databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_for_good_is_edited_put_aside_or_taken_along() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 100)]).await?;
    databases.item_reaches("lamp", 100, 0).await?;
    let bad =
        |n: u32| Message::new("order.place.v1", &format!("bad-{n}"), &json!({"order_id": "x"}));
    client.publish((1..=3).map(bad)).await?;
    let letters = open_letters(&system, 3).await?;
    let [kept, forced, edited] = [0, 1, 2].map(|n| text(&letters[n], "id"));
    // As long as the broker takes it: a letter holds the beginning, so it can't go back as it is.
    client.publish([Message::raw("order.place.v1", "huge", vec![b' '; 4 << 20])]).await?;
    let huge = open_letters(&system, 4).await?.remove(0);
    assert_eq!((text(&huge, "message_id"), text(&huge, "reason")), ("huge", "body_too_large"));
    let shown = dead(&system, &["show", text(&huge, "id")])?.remove(0);
    assert_eq!(shown["body_cut"]["whole_bytes"], 4 << 20);
    assert_eq!(text(&shown, "body").len(), 2 << 20);
    let refused = command(&system, &["replay", text(&huge, "id")])?.output()?;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("only the beginning"), "{why}");
    dead(&system, &["archive", text(&huge, "id")])?;

    let good = place("good", "lamp", 1, "tok_visa").body;
    let told = edit(&system, &[edited], &serde_json::from_slice(&good)?)?;
    databases.reaches("good", "confirmed").await?;
    let shown = eventually("the outcome of the edit", async || {
        let shown = dead(&system, &["show", edited])?.remove(0);
        Ok((shown["edit_outcome"] == "it has had its effect").then_some(shown))
    })
    .await?;
    assert_eq!((text(&shown, "status"), &shown["edited_as"]), ("resolved", &told["message_id"]));
    assert_ne!(told["message_id"], "bad-1", "it is a new message");

    // An edit that dies, too, is a letter of its own, and each leads to the other.
    edit(&system, &[forced, "--force"], &json!({"order_id": "still wrong"}))?;
    let second = eventually("the letter about the edit", async || {
        let open = dead(&system, &["list", "--status", "open"])?;
        Ok(open.iter().map(|it| text(it, "id").to_owned()).find(|id| id != kept))
    })
    .await?;
    assert_eq!(dead(&system, &["show", &second])?[0]["edit_of"], forced);
    let shown = dead(&system, &["show", forced])?.remove(0);
    assert_eq!(shown["edit_outcome"], format!("it died, too: the letter {second}"));

    dead(&system, &["archive", kept, &second, "--note", "spam", "--yes"])?;
    assert!(dead(&system, &["list"])?.is_empty());
    let archived =
        ["export", "--type", "order.place.v1", "--reason", "invalid_content", "--status"];
    let lines =
        lines(&command(&system, &[archived.as_slice(), &["archived"]].concat())?.output()?)?;
    let bodies: Vec<&str> = lines.iter().map(|line| text(line, "body")).collect();
    assert_eq!(bodies, [r#"{"order_id":"x"}"#, r#"{"order_id":"still wrong"}"#]);
    dead(&system, &["restore", kept])?;
    open_letters(&system, 1).await?;
    let log = dead(&system, &["log", kept])?;
    let done: Vec<&str> = log.iter().map(|it| text(it, "action")).collect();
    assert_eq!((done, text(&log[1], "details")), (vec!["restore", "archive"], "spam"));
    system.expect_clean_audit().map(drop)
}

/// How many letters the next test sends.
const LETTERS: i64 = 10_000;

/// As if the stock had been locked for an hour: so many corrections of fifty articles have died.
fn letters_in_sql() -> String {
    format!(
        "INSERT INTO dead_letters (id, reason, explanation, attempts, queue, exchange, routing_key,
             kind, message_id, correlation_id, worker, first_at, last_at, properties, body)
         SELECT md5(id)::uuid, 'exhausted', 'the lock of shelf ' || n || ' was not to be had', 5,
             '{STOCK_COMMANDS}', 'orderly.commands', kind, kind, id, id, 'orderly-stock 0', now(), now(),
             json_build_object('type', kind, 'message_id', id, 'correlation_id', id,
                               'content_type', 'application/json')::text,
             convert_to(json_build_object('adjustment_id', id, 'sku', 'shelf-' || n % 50,
                                          'delta', 1)::text, 'UTF8')
         FROM generate_series(1, {LETTERS}) AS n, format('late-%s', n) AS id,
             CAST('stock.adjust.v1' AS text) AS kind"
    )
}

/// Kills the replay, without a chance to clear up, once so many letters had their turn.
async fn kill_at(system: &System, replay: &mut Child, turn: i64) -> Result<()> {
    let had_turn = "SELECT count(*) FROM dead_replay_letters WHERE state <> 'waiting'";
    loop {
        let had_turn: i64 = system.databases.stock.query_one(had_turn, &[]).await?.get(0);
        if had_turn >= turn {
            replay.kill()?;
            replay.wait()?;
            return Ok(());
        }
        if let Some(status) = replay.try_wait()? {
            bail!("it ended with {status} before it could be killed at {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_ten_thousand_that_is_killed_again_and_again_loses_and_doubles_nothing()
-> Result<()> {
    let mut system = System::prepare(TestBed::new()?, &[]).await?;
    system.start_worker("stock")?;
    system.databases.stock.batch_execute(&letters_in_sql()).await?;
    let selection = ["replay", "--service", "stock", "--reason", "exhausted", "--yes", "--json"];
    for turn in [0, 1, 1_500, 3_000, 4_500, 6_000] {
        let mut replay = command(&system, &selection)?.spawn()?;
        kill_at(&system, &mut replay, turn).await?;
        let left = "SELECT count(*) FROM dead_replay_letters WHERE state = 'waiting'";
        let left: i64 = system.databases.stock.query_one(left, &[]).await?.get(0);
        ensure!(turn == 0 || left > 0, "it was killed at the end, not in the middle");
    }
    let replays = "SELECT id::text FROM dead_replays";
    let ids = system.databases.stock.query(replays, &[]).await?;
    assert_eq!(ids.len(), 1, "the same command goes on with the same replay");
    let said = dead(&system, &["replay", "--resume", ids[0].get(0), "--wait", "60s"])?;
    assert_eq!(said[0]["progress"]["resolved"], LETTERS, "{said:?}");

    // Every letter has one replay, one outcome and one effect, and there is nothing else.
    let once = "
        SELECT count(*) FILTER (WHERE replays = 1 AND status = 'resolved'),
            (SELECT count(*) FROM inbox),
            (SELECT count(*) FROM stock_ledger WHERE operation = 'adjust'),
            (SELECT count(*) FROM stock_ledger JOIN dead_letters ON adjustment_id = message_id),
            (SELECT count(DISTINCT letter) FROM dead_actions WHERE action = 'replay'),
            (SELECT count(DISTINCT letter) FROM dead_actions WHERE action = 'resolved'),
            (SELECT count(*) / 2 FROM dead_actions),
            (SELECT count(*) FROM dead_replay_letters WHERE state = 'sent'),
            (SELECT sum(on_hand)::bigint FROM items)
        FROM dead_letters";
    let row = system.databases.stock.query_one(once, &[]).await?;
    let counts: Vec<i64> = (0..row.len()).map(|column| row.get(column)).collect();
    assert_eq!(counts, [LETTERS; 9]);
    assert!(dead(&system, &["list"])?.is_empty());
    Ok(())
}
