//! `devstack up`, `down` and the hidden `serve`: the whole system in the background.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use orderly_devstack::{Identity, Stack, folders_of, install, wait_for, write_private};

/// Where `up` keeps what it must remember, in the current folder; the files hold passwords.
const STATE: &str = ".orderly";
/// The configuration and the rules of Prometheus, in the current folder.
const PROMETHEUS: &str = "deploy/prometheus";
const START_LIMIT: Duration = Duration::from_secs(180);
const END_LIMIT: Duration = Duration::from_secs(30);

/// Starts the system, unless it runs already, and prints where everything is.
pub(crate) fn up(bin: &Path) -> Result<()> {
    fs::create_dir_all(STATE).with_context(|| format!("cannot make the folder {STATE}"))?;
    if supervisor().is_some() {
        println!("It is running already.");
    } else {
        install()?;
        forget()?;
        start_supervisor(bin)?;
    }
    let about = state("about");
    print!("{}", wait_for_start(&about)?);
    Ok(())
}

/// Ends the system and waits until nothing of it is left.
pub(crate) fn down() -> Result<()> {
    let Some(supervisor) = supervisor() else {
        println!("It is not running.");
        return forget();
    };
    let folders = folders_of(supervisor)?;
    // Its death is the nodes' and the workers' end, and its janitor removes their folder.
    let status = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", &supervisor.pid.to_string()])
        .status()
        .context("cannot start `sh`")?;
    if !status.success() {
        bail!("the supervisor, process {}, cannot be ended", supervisor.pid);
    }
    wait_for("the end of all processes", END_LIMIT, || {
        let folders_are_gone = folders.iter().all(|folder| !folder.exists());
        Ok((!supervisor.is_alive() && folders_are_gone).then_some(()))
    })?;
    println!("All is gone.");
    forget()
}

/// Holds the system until it is ended by a signal; a worker that ends is started again.
pub(crate) fn serve(bin: &Path) -> Result<()> {
    let mut stack = Stack::start(bin)?;
    stack.orderly(&["migrate"])?;
    stack.orderly(&["setup"])?;
    stack.start_workers()?;
    stack.start_prometheus(Path::new(PROMETHEUS))?;
    write_private(&state("env"), &variables(&stack))?;
    write_private(&state("about"), &about(&stack)?)?;
    loop {
        thread::sleep(Duration::from_secs(1));
        for (service, pid) in stack.restart_ended_workers()? {
            println!("devstack: the {service} worker had ended; its successor is process {pid}");
        }
    }
}

fn start_supervisor(bin: &Path) -> Result<()> {
    let log = File::create(state("log"))?;
    // A session of its own: closing the terminal does not end it.
    let supervisor = Command::new("setsid")
        .arg(std::env::current_exe()?)
        .arg("serve")
        .arg("--bin-dir")
        .arg(bin)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start `setsid`, which is a part of Debian's util-linux")?;
    fs::write(
        state("pid"),
        Identity::of(supervisor.id()).context("the supervisor ended at once")?.to_string(),
    )?;
    Ok(())
}

fn wait_for_start(about: &Path) -> Result<String> {
    wait_for("the system to start", START_LIMIT, || match fs::read_to_string(about) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        Err(_) if supervisor().is_some() => Ok(None),
        Err(_) => bail!("the system did not start:\n{}", log_tail()),
    })
}

/// The running supervisor, if there is one: a pid alone could be anybody's.
fn supervisor() -> Option<Identity> {
    let text = fs::read_to_string(state("pid")).ok()?;
    text.parse::<Identity>().ok().filter(Identity::is_alive)
}

fn variables(stack: &Stack) -> String {
    let mut text = String::from("# For a POSIX shell: . .orderly/env\n");
    for (name, value) in stack.environment() {
        let _ = writeln!(text, "export {name}={}", quoted(value));
    }
    let bin = stack.bin().to_string_lossy();
    let _ = writeln!(text, "export PATH={}:\"$PATH\"", quoted(&bin));
    text
}

fn about(stack: &Stack) -> Result<String> {
    let broker = &stack.nodes().endpoints().broker;
    let database = &stack.nodes().endpoints().database;
    let folder = stack.nodes().folder().display();
    let here = std::env::current_dir()?.join(STATE);
    let here = here.display();
    let (host, user) = (&broker.host, &broker.user);

    let mut rows = vec![
        ("Variables", format!(". {here}/env   (then try: orderly --help)")),
        ("RabbitMQ", format!("amqp://{user}@{host}:{}/orderly", broker.amqp_port)),
        ("  management", format!("http://{host}:{}   (user {user})", broker.management_port)),
        ("  metrics", format!("http://{host}:{}/metrics", broker.prometheus_port)),
        (
            "PostgreSQL",
            format!("postgres://{}@{}:{}", database.superuser, database.host, database.port),
        ),
    ];
    for (service, worker) in stack.workers().into_iter().flat_map(|workers| workers.each()) {
        let url = worker.url();
        rows.push((service, format!("{url}/readyz   {url}/metrics")));
    }
    if let Some(prometheus) = stack.prometheus() {
        rows.push(("Prometheus", format!("{}/alerts", prometheus.url())));
    }
    rows.push(("Logs", format!("{folder}/*.log, {here}/log")));
    rows.push(("Passwords", "in the variables".to_owned()));
    rows.push(("To end it", "./scripts/down".to_owned()));

    let mut text = String::from("Orderly is running.\n\n");
    for (title, value) in rows {
        writeln!(text, "  {title:<14}{value}")?;
    }
    Ok(text)
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

fn log_tail() -> String {
    let log = fs::read_to_string(state("log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn state(name: &str) -> PathBuf {
    Path::new(STATE).join(name)
}

/// Removes what an earlier `up` left; its log stays for whoever asks why.
fn forget() -> Result<()> {
    for name in ["pid", "env", "about"] {
        match fs::remove_file(state(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {STATE}/{name}"));
            }
            _ => {}
        }
    }
    Ok(())
}
