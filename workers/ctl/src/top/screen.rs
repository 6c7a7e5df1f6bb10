//! The loop around the screen: news, keys, signals and seconds go in, pictures come out.

use std::io;

use anyhow::{Context, Result};
use jiff::Timestamp;
use ratatui::DefaultTerminal;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use ratatui::crossterm::execute;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::act::{Outcome, act};
use super::gather::{PERIOD, start};
use super::keys::{Action, Console};
use super::model::Model;
use super::palette::Palette;
use super::snapshot::Update;
use super::view::{Scene, draw};
use crate::settings::Settings;

/// The exit status that Rust gives to a program that panicked.
const PANICKED: i32 = 101;

/// The terminal, which is as it was when this ends, however it ends.
struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal. A panic, on whatever thread, gives it back before it is reported, and is
    /// the end: a screen that some of its parts have left would show what is no longer true.
    fn open() -> Result<Self> {
        let terminal = ratatui::try_init().context("the terminal can't be used")?;
        let restore_and_report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore_and_report(panic);
            // Nobody is left who could be told of a failure.
            let _ = execute!(io::stdout(), Show);
            std::process::exit(PANICKED);
        }));
        Ok(Self(terminal))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Signals that ask us to leave.
struct Signals([Signal; 4]);

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::quit())?,
        ]))
    }

    async fn any(&mut self) {
        let [terminate, hangup, interrupt, quit] = &mut self.0;
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// What a terminal tells.
enum Input {
    Key(KeyEvent),
    Size(u16, u16),
}

/// Reads the terminal on a thread of its own, until it or its listener has gone.
fn listen() -> mpsc::Receiver<Input> {
    let (heard, inputs) = mpsc::channel(64);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let input = match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => Input::Key(key),
                Event::Resize(columns, rows) => Input::Size(columns, rows),
                _ => continue,
            };
            if heard.blocking_send(input).is_err() {
                return;
            }
        }
    });
    inputs
}

/// Watches until the operator leaves.
pub(super) async fn watch(settings: &Settings, model: Model, palette: Palette) -> Result<()> {
    let mut signals = Signals::listen().context("signals can't be heard")?;
    let mut news = start(settings)?;
    let mut screen = Screen::open()?;
    let mut inputs = listen();
    let (done, mut outcomes) = mpsc::channel(4);
    let mut seconds = interval(PERIOD);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let size = screen.0.size()?;
    let console = Console::new((size.width, size.height));
    let mut watch = Watch { settings: settings.clone(), model, console, palette, done };
    let mut is_changed = true;
    loop {
        if is_changed {
            watch.draw(&mut screen.0)?;
        }
        is_changed = tokio::select! {
            biased;
            () = signals.any() => return Ok(()),
            input = inputs.recv() => match input {
                // The terminal has gone.
                None => return Ok(()),
                Some(input) => {
                    if watch.hear(input) {
                        return Ok(());
                    }
                    true
                }
            },
            Some(outcome) = outcomes.recv() => watch.told(outcome),
            _ = seconds.tick() => watch.second(),
            update = news.recv() => watch.take(update.context("nobody looks any more")?),
        };
    }
}

/// Everything between the inputs and the picture.
struct Watch {
    settings: Settings,
    model: Model,
    console: Console,
    palette: Palette,
    done: mpsc::Sender<Outcome>,
}

impl Watch {
    fn draw(&self, terminal: &mut DefaultTerminal) -> Result<()> {
        let report = self.model.report();
        let time = Timestamp::now().strftime("%H:%M:%S").to_string();
        let scene = Scene {
            report: &report,
            past: self.model.past(),
            console: &self.console,
            time: &time,
            palette: self.palette,
        };
        terminal.draw(|frame| draw(frame, &scene)).context("the terminal takes nothing")?;
        Ok(())
    }

    /// Whether to leave.
    fn hear(&mut self, input: Input) -> bool {
        match input {
            Input::Size(columns, rows) => self.console.size = (columns, rows),
            Input::Key(key) => match self.console.press(key, &self.model.report()) {
                Some(Action::Quit) => return true,
                Some(action) => {
                    let (settings, done) = (self.settings.clone(), self.done.clone());
                    tokio::spawn(async move { done.send(act(&settings, action).await).await });
                }
                None => {}
            },
        }
        false
    }

    fn told(&mut self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Said(text) => self.console.message = Some(text),
            Outcome::Opened(letter) => self.console.show(letter),
        }
        true
    }

    fn second(&mut self) -> bool {
        if !self.console.is_frozen {
            self.model.tick();
        }
        true
    }

    /// News are seen with the next second, but the first of a source at once.
    fn take(&mut self, update: Update) -> bool {
        !self.console.is_frozen && self.model.take(update)
    }
}
