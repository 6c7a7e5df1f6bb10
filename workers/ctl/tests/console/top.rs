//! `orderly top` in a real terminal, on a real system.

use std::process::Command;

use super::relay::Relay;
use super::svg::has_colours;
use super::terminal::Terminal;
use super::world::{World, parsed, text};

const TOP: &str = env!("CARGO_BIN_EXE_orderly");

fn start(terminal: &Terminal, arguments: &str) {
    terminal.run(&format!("{TOP} top {arguments}; echo \"left with $?\""));
    terminal.shows("all sources answer");
}

/// The line of a screen that begins with these words, marks and spaces apart.
fn line<'a>(screen: &'a str, begins: &str) -> &'a str {
    let mut lines = screen.lines();
    let clean = |line: &str| line.trim_start_matches(['>', ' ']).to_owned();
    lines.find(|line| clean(line).starts_with(begins)).unwrap_or_default()
}

#[test]
fn an_operator_watches_pauses_reads_a_letter_and_leaves() {
    let world = World::at_work();
    world.file_a_letter();
    let terminal = Terminal::new((80, 24), &world.environment());
    start(&terminal, "");
    let screen = terminal.shows_where("a letter", |screen| screen.contains("Dead letters  (! 1"));
    assert!(line(&screen, "order.new").contains(" 1"), "it has a consumer:\n{screen}");
    assert!(line(&screen, "stock ").contains("ready"), "{screen}");

    world.place("seen");
    terminal.shows_where("the order", |screen| {
        let placed = line(screen, "placed");
        !placed.is_empty() && !placed.contains(" 0.0/s")
    });

    terminal.press("Tab");
    terminal.press("j");
    terminal.press("p");
    terminal.shows("Pause the stock worker?");
    terminal.press("n");
    terminal.shows_where("no question", |screen| !screen.contains("Pause the stock worker?"));
    let paused = "SELECT count(*) FROM pauses WHERE ended_at IS NULL AND began_by = 'ada'";
    assert_eq!(world.sql("stock", paused), "0");
    terminal.press("p");
    terminal.shows("Pause the stock worker?");
    terminal.press("y");
    terminal.shows_where("the pause", |screen| {
        line(screen, "stock ").contains("PAUSED") && line(screen, "stock ").contains("by ada")
    });
    assert_eq!(world.sql("stock", paused), "1");
    terminal.shows_where("queues without consumers", |screen| {
        line(screen, "stock.commands").contains("! none")
    });
    terminal.press("p");
    terminal.shows("Resume the stock worker?");
    terminal.press("y");
    terminal.shows_where("the end of the pause", |screen| line(screen, "stock ").contains("ready"));

    terminal.press("Tab");
    terminal.press("Enter");
    terminal.shows_where("the letter", |screen| {
        let said = ["Dead letter 1 of 1", "order 17 fails", "given up by", r#"{"order_id":"o"}"#];
        said.iter().all(|word| screen.contains(word))
    });
    terminal.press("Escape");
    terminal.shows("Workers");

    terminal.press("Space");
    terminal.shows("FROZEN");
    terminal.press("?");
    terminal.shows("Keys and words");
    assert!(has_colours(&terminal.coloured()), "unless there must be none");
    // Not two keys at once: a terminal would take them for one.
    terminal.press("Escape");
    terminal.shows_where("no help", |screen| !screen.contains("Keys and words"));
    terminal.press("q");
    let screen = terminal.shows("left with 0");
    assert!(!screen.contains("Workers"), "the screen is as it was:\n{screen}");
    terminal.run("echo still $((20 + 3)) here");
    terminal.shows("still 23 here");
}

#[test]
fn signals_leave_the_terminal_as_it_was_and_no_colour_is_none() {
    let world = World::idle();
    let terminal = Terminal::new((120, 40), &world.environment());
    for signal in ["TERM", "HUP", "INT"] {
        terminal.run("clear");
        start(&terminal, "--no-color");
        let screen = terminal.coloured();
        assert!(!has_colours(&screen), "{screen:?}");
        let program = terminal.program();
        let kill = format!("kill -s {signal} {program}");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let screen = terminal.shows("left with 0");
        assert!(!screen.contains("Workers"), "{signal}:\n{screen}");
        // What is typed is seen again, and lines end as they should.
        terminal.run("echo still $((20 + 3)) here");
        terminal.shows("prompt> echo still $((20 + 3)) here\nstill 23 here\nprompt>");
    }
}

#[test]
fn servers_that_go_are_named_and_servers_that_come_back_are_seen() {
    let world = World::at_work();
    let (broker, database) = (&world.bed.endpoints().broker, &world.bed.endpoints().database);
    let to_broker = Relay::to(&format!("{}:{}", broker.host, broker.amqp_port));
    let to_stock = Relay::to(&format!("{}:{}", database.host, database.port));
    let mut environment = world.environment();
    let amqp = to_broker.instead_of(&world.bed.amqp_url());
    environment.insert("ORDERLY_BROKER_URL".to_owned(), amqp);
    let stock = to_stock.instead_of(&world.bed.database_url("stock"));
    environment.insert("ORDERLY_STOCK_DATABASE_URL".to_owned(), stock);
    let terminal = Terminal::new((80, 24), &environment);
    start(&terminal, "");
    to_broker.cut();
    to_stock.cut();
    let screen = terminal.shows_where("who is away", |screen| {
        screen.contains("2 AWAY") && line(screen, "stock ").contains(" -")
    });
    assert!(screen.contains("! broker:") && screen.contains("! stock database:"), "{screen}");
    assert!(!line(&screen, "order ").contains(" -"), "the others go on:\n{screen}");
    to_broker.mend();
    to_stock.mend();
    terminal.shows("all sources answer");
    terminal.shows_where("the numbers", |screen| !line(screen, "stock ").contains(" -"));
}

/// What has been read row after row, by the counters of the database itself.
fn rows_read(world: &World, table: &str) -> (u64, u64) {
    let counted = world.sql(
        "order",
        &format!(
            "SELECT seq_scan || ' ' || seq_tup_read FROM pg_stat_user_tables
             WHERE relname = '{table}'"
        ),
    );
    let (scans, rows) = counted.split_once(' ').unwrap();
    (scans.parse().unwrap(), rows.parse().unwrap())
}

#[test]
fn what_is_asked_does_not_grow_with_the_orders_there_have_been() {
    let world = World::idle();
    world.sql(
        "order",
        "INSERT INTO orders (order_id, currency, payment_token, lines, total, placed_at, status,
             version, round, owes_release, owes_refund, refunded, ended_at)
         SELECT 'o-' || n, 'GBP', 't', '[]', 1, now(), 'confirmed', 2, 0, false, false, false, now()
         FROM generate_series(1, 40000) AS n;
         INSERT INTO order_history (order_id, version, at, from_status, to_status, cause_source,
             cause_id, kind)
         SELECT 'o-' || n, v, now() + v * interval '1 second' - interval '9 s',
             CASE v WHEN 2 THEN 'pending' END, CASE v WHEN 1 THEN 'pending' ELSE 'confirmed' END,
             'client', 'm', 'k'
         FROM generate_series(1, 40000) AS n, generate_series(1, 2) AS v",
    );
    let (orders, history) = (rows_read(&world, "orders"), rows_read(&world, "order_history"));
    let output = world.run(&["top", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let orders_report = &parsed(&output)["orders"];
    assert_eq!(orders_report["latency"]["p50_ms"], 1_000, "{orders_report:#}");
    // A connection counts what it has read when it ends.
    let after = world.wait("the end of the history to be read", || {
        Some(rows_read(&world, "order_history")).filter(|after| after.1 > history.1)
    });
    assert_eq!(after.0, history.0, "the history is never read from its beginning");
    assert!(after.1 - history.1 < 20_000, "only its end is read, not all 80,000 rows: {after:?}");
    assert_eq!(rows_read(&world, "orders"), orders);
}

#[test]
fn one_look_is_printed_for_people_and_for_programs() {
    let world = World::at_work();
    world.file_a_letter();
    world.place("seen");
    let report = world.wait("the order's end", || {
        let output = world.run(&["top", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report = parsed(&output);
        let has_ended = report["orders"]["rejected_per_second"].as_f64() > Some(0.0);
        (has_ended && report["orders"]["pending"] == 0).then_some(report)
    });
    assert!(report["orders"]["latency"]["p50_ms"].is_u64(), "{report:#}");
    assert_eq!(report["dead_letters"][0]["group"], "feedc0ffee00");
    assert_eq!(report["workers"][1]["worker"], "stock");
    assert_eq!(report["workers"][1]["state"], "ready");
    assert_eq!(report["workers"][1]["replicas"], 1);
    let queue = &report["queues"][0];
    assert_eq!((&queue["name"], &queue["consumers"]), (&"order.new".into(), &1.into()));

    let output = world.run(&["top", "--once"]);
    let said = text(&output.stdout);
    for word in ["order.new", "stock.parked", "ready", "placed/s", "feedc0ffee00"] {
        assert!(said.contains(word), "{word} is not in\n{said}");
    }
    let output = world.run(&["top"]);
    assert_eq!(output.status.code(), Some(2), "this is no terminal");
    let mut command = world.orderly(&["top", "--json"]);
    command.env("ORDERLY_STOCK_DATABASE_URL", "postgres://u@127.0.0.1:1/d");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(parsed(&output)["away"][0]["source"], "stock database");
}
