//! What a process is given by whoever runs it: a port, a reader of its log, file descriptors.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use orderly_devstack::{TestBed, Worker};
use orderly_e2e::{System, eventually, place, program};

/// Starts `<service>-worker` by a line of the shell in which `WORKER` stands for the program.
fn start_by(system: &System, service: &str, line: &str, folder: &Path) -> Result<Worker> {
    let name = format!("{service}-worker");
    let real = program(&name)?;
    let script = folder.join(&name);
    let line = line.replace("WORKER", &real.display().to_string());
    fs::write(&script, format!("#!/bin/sh\nexec {line}\n"))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700))?;
    Worker::start(folder, service, system.environment(), folder)
}

fn open_files(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// How long a process has been computing, its threads together.
fn computing(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(") ").context("no fields")?.1.split(' ');
    let ticks: Vec<u64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_told_and_ends_the_process() -> Result<()> {
    let system = System::prepare(TestBed::new()?, &[]).await?;
    for service in ["order", "stock", "payment"] {
        let name = format!("ORDERLY_{}_HTTP", service.to_uppercase());
        let address = &system.environment()[&name];
        let _taken = TcpListener::bind(address)?;
        let folder = tempfile::tempdir()?;
        let mut worker = start_by(&system, service, "WORKER", folder.path())?;
        let status = worker.process.wait(Duration::from_secs(20))?;
        assert_eq!(status.code(), Some(1), "{}", worker.process.output());
        let said = worker.process.output();
        assert!(said.contains(address.as_str()) && said.contains("in use"), "{said}");
    }
    Ok(())
}

/// Opens connections to a worker's metrics, says half a request on each, and reads nothing.
fn hang(address: &str, count: usize) -> Result<Vec<TcpStream>> {
    (0..count)
        .map(|n| {
            let mut stream = TcpStream::connect(address)?;
            let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n";
            let request = if n % 2 == 0 { request.to_owned() } else { format!("{request}\r\n") };
            stream.write_all(request.as_bytes())?;
            Ok(stream)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapers_that_hang_take_no_more_than_their_share() -> Result<()> {
    let mut system = System::start().await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;
    let address = system.environment()["ORDERLY_ORDER_HTTP"].clone();
    let pid = system.workers()[0].process.pid();
    let before = open_files(pid)?;
    let hanging = hang(&address, 200)?;
    system.client.publish([place("unimpressed", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("unimpressed", "confirmed").await?;
    let taken = open_files(pid)?.saturating_sub(before);
    assert!(taken <= 40, "{taken} of 200 connections are open at once");
    // Whoever comes behind them is served once those before had their time.
    eventually("the metrics to be served", async || {
        Ok(system.workers()[0].metric("orderly_ready").ok().filter(|ready| *ready > 0.0))
    })
    .await?;
    drop(hanging);
    eventually("the connections to be gone", async || {
        Ok((open_files(pid)? <= before + 2).then_some(()))
    })
    .await?;
    system.expect_clean_audit().map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_no_worker_and_tells_what_it_left_out() -> Result<()> {
    let settings = [("ORDERLY_LOG", "debug")];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("log.pipe");
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "no pipe");
    let mut end = File::options().read(true).write(true).open(&pipe)?;
    let line = format!("WORKER > {}", pipe.display());
    let mut order = start_by(&system, "order", &line, folder.path())?;
    system.start_worker("stock")?;
    system.start_worker("payment")?;
    order.wait_ready()?;
    system.client.stock_up(&[("lamp", 100_000)]).await?;
    system.databases.item_reaches("lamp", 100_000, 0).await?;
    // A line for each of these is more than a pipe holds, and more than waits for it.
    let bad = (0..12_000).map(|n| {
        place(&format!("bad-{n}"), "lamp", 1, "tok_visa")
            .with(|p| p.content_type = Some("no".into()))
    });
    system.client.publish(bad).await?;
    let orders = (0..200).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    let outcomes = system.databases.settled(200).await?;
    assert_eq!(outcomes["confirmed"], 200);
    let dropped = eventually("lines to be counted as dropped", async || {
        Ok(Some(order.metric("orderly_log_lines_dropped_total")?).filter(|count| *count > 0.0))
    })
    .await?;
    assert!(order.is_ready(), "{dropped} lines were dropped");
    // Once somebody reads again, the log says what is missing.
    let reader = std::thread::spawn(move || -> std::io::Result<bool> {
        let mut seen = Vec::new();
        let mut part = [0; 65_536];
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let bytes = end.read(&mut part)?;
            seen.extend_from_slice(&part[..bytes]);
            if String::from_utf8_lossy(&seen).contains("lines of the log were dropped") {
                return Ok(true);
            }
        }
        Ok(false)
    });
    eventually("the reader to see it", async || Ok(reader.is_finished().then_some(()))).await?;
    assert!(reader.join().is_ok_and(|seen| seen.is_ok_and(|seen| seen)), "nothing was said");
    order.process.terminate(Duration::from_secs(15)).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_heeded_although_nobody_reads_the_log() -> Result<()> {
    let settings = [("ORDERLY_LOG", "trace")];
    let system = System::prepare(TestBed::new()?, &settings).await?;
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("log.pipe");
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "no pipe");
    let mut end = File::options().read(true).write(true).open(&pipe)?;
    end.write_all(&[b'\n'; 65_536])?;
    let line = format!("WORKER > {}", pipe.display());
    let mut stock = start_by(&system, "stock", &line, folder.path())?;
    stock.wait_ready()?;
    let status = stock.process.terminate(Duration::from_secs(15))?;
    assert!(status.success(), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_file_descriptors_are_enough_and_too_few_are_told() -> Result<()> {
    let mut system = System::prepare(TestBed::new()?, &[]).await?;
    let folder = tempfile::tempdir()?;
    let mut enough = start_by(&system, "order", "prlimit --nofile=32:32 WORKER", folder.path())?;
    enough.wait_ready()?;
    system.start_worker("stock")?;
    system.start_worker("payment")?;
    system.client.stock_up(&[("lamp", 50)]).await?;
    system.databases.item_reaches("lamp", 50, 0).await?;
    let orders = (0..50).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    assert_eq!(system.databases.settled(50).await?["confirmed"], 50);
    enough.process.terminate(Duration::from_secs(15))?;
    fs::remove_file(enough.process.log())?;

    let mut short = start_by(&system, "order", "prlimit --nofile=12:12 WORKER", folder.path())?;
    eventually("the worker to say what it lacks", async || {
        short.process.expect_running()?;
        assert!(!short.is_ready());
        Ok(short.process.output().contains("Too many open files").then_some(()))
    })
    .await?;
    // It looks again and again, with pauses: what it computes meanwhile is next to nothing.
    let before = computing(short.process.pid())?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let took = computing(short.process.pid())? - before;
    assert!(took < Duration::from_millis(1_500), "it spins: {took:?} in 3 s");
    short.process.terminate(Duration::from_secs(15)).map(drop)
}
