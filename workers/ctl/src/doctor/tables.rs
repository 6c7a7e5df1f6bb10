//! Everything the doctor asks a service's database, in statements that indexes answer.

use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use orderly_contracts::routes::Party;
use orderly_runtime::postgres::migrate::standings;
use tokio_postgres::{Client, Row};

use super::reading::{Ahead, Backlog, Database, Group, Server};
use crate::connections;
use crate::look::{Look, number};
use crate::migrate::migrations;
use crate::pause;
use crate::settings::Settings;

/// Nothing can be written by mistake, and no statement goes on when nobody waits for it any more.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '10s'";

const SERVER: &str = "
    SELECT pg_postmaster_start_time()::text || ' ' || current_setting('port') || ' '
            || COALESCE(host(inet_server_addr()), 'local'),
        current_setting('server_version'),
        current_setting('max_connections')::bigint
            - current_setting('superuser_reserved_connections')::bigint,
        (SELECT sum(numbackends)::bigint FROM pg_stat_database),
        array_remove(ARRAY[
            CASE WHEN current_setting('fsync') = 'off' THEN 'fsync=off' END,
            CASE WHEN current_setting('full_page_writes') = 'off' THEN 'full_page_writes=off' END,
            CASE WHEN current_setting('synchronous_commit') = 'off'
                THEN 'synchronous_commit=off' END
        ], NULL) || ARRAY(
            SELECT setting || COALESCE(' for the role ' || setrole::regrole, '')
            FROM pg_db_role_setting, unnest(setconfig) AS setting
            WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
              AND setting = 'synchronous_commit=off')";

const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

const TABLE: &str = "SELECT to_regclass($1::text) IS NOT NULL";

const LETTERS: &str = "
    SELECT COALESCE(fingerprint, ''), reason, COALESCE(kind, ''), count(*)
    FROM dead_letters WHERE status = 'open' GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1";

const OVERDUE: &str = "
    SELECT count(*), COALESCE(extract(epoch FROM now() - min(due_at)), 0)::bigint
    FROM timers WHERE due_at <= now()";

const UNSENT: &str = "
    SELECT count(*), COALESCE(extract(epoch FROM now() - min(at)), 0)::bigint
    FROM batches WHERE NOT sent";

/// A table that only the database of `party` has.
const fn own_table(party: Party) -> &'static str {
    match party {
        Party::Stock => "items",
        Party::Payment => "payments",
        Party::Order | Party::Client => "orders",
    }
}

/// Reads the database of `party`.
pub(super) async fn read(settings: &Settings, party: Party) -> Result<Database> {
    let began = Instant::now();
    let client = connections::database(settings, party).await?;
    let login = began.elapsed();
    client.batch_execute(SESSION).await?;
    let own = migrations(party);
    let table = own_table(party);
    let (server, clock, standings, has_own_tables, pause, letters, deadlines, outputs) = tokio::join!(
        server(&client),
        clock(&client),
        async { standings(&client, &own).await.map_err(said) },
        async { client.query_one(TABLE, &[&table]).await.map(|row| row.get(0)).map_err(said) },
        async { pause::current(&client).await.map_err(said) },
        letters(&client),
        backlog(&client, OVERDUE),
        backlog(&client, UNSENT),
    );
    Ok(Database {
        login,
        server,
        clock,
        standings,
        has_own_tables,
        pause,
        letters,
        deadlines,
        outputs,
    })
}

/// What the server says, without the library's words around it.
fn said(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

async fn server(client: &Client) -> Look<Server> {
    let row = client.query_one(SERVER, &[]).await.map_err(said)?;
    Ok(Server {
        identity: row.get(0),
        version: row.get(1),
        connections_max: number(&row, 2),
        connections: number(&row, 3),
        unsafe_settings: row.get(4),
    })
}

async fn clock(client: &Client) -> Look<Ahead> {
    // Prepared first, so that one way there and back lies between the two looks at our own clock.
    let statement = client.prepare(CLOCK).await.map_err(said)?;
    let before = Timestamp::now().as_millisecond();
    let row = client.query_one(&statement, &[]).await.map_err(said)?;
    let after = Timestamp::now().as_millisecond();
    let ms = row.get::<_, i64>(0) - (before + after) / 2;
    Ok(Ahead { ms, within_ms: 1 + (after - before) / 2 })
}

async fn letters(client: &Client) -> Look<Vec<Group>> {
    let rows = client.query(LETTERS, &[]).await.map_err(said)?;
    let group = |row: &Row| Group {
        group: row.get(0),
        reason: row.get(1),
        kind: row.get(2),
        letters: number(row, 3),
    };
    Ok(rows.iter().map(group).collect())
}

async fn backlog(client: &Client, statement: &str) -> Look<Backlog> {
    let row = client.query_one(statement, &[]).await.map_err(said)?;
    Ok(Backlog { count: number(&row, 0), oldest_seconds: number(&row, 1) })
}
