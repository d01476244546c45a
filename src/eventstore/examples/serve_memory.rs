//! A server over a log in memory, for trying clients against it.
//!
//! `serve_memory [--listen 127.0.0.1:2113] [--cert FILE --key FILE] [--write] [--engine N]` serves until it is killed.
//! With `--write` the user `ann` (password `changeit`) may write, and `admin` (the same) also to system streams;
//! `--engine N` begins with N events of the engine, and appends one more each second.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example for people")]

use std::sync::Arc;
use std::time::Duration;

use prooflog_access::{Role, User};
use prooflog_events::event::{Event, Paused, PausedBy};
use prooflog_events::ids::{LogId, Micros};
use prooflog_events::values::Control;
use prooflog_eventstore::{Authority, Guests, Here, Server, Tls, Writing, serve};
use prooflog_log::{Append, By, Log, MemorySequence, NewRecord};

/// Two users with one password, in plain text: this is an example.
struct Two;

impl Authority for Two {
    fn check(&self, header: Option<&str>) -> Option<User> {
        let role = match header? {
            "Basic YWRtaW46Y2hhbmdlaXQ=" => Role::Operate,
            "Basic YW5uOmNoYW5nZWl0" => Role::Annotate,
            _ => return None,
        };
        let name = if role == Role::Operate { "admin" } else { "ann" };
        Some(User { name: name.to_owned(), role })
    }
}

struct Options {
    listen: String,
    cert: Option<String>,
    key: Option<String>,
    write: bool,
    engine: u64,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { listen: "127.0.0.1:2113".to_owned(), cert: None, key: None, write: false, engine: 0 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--listen" => options.listen = value()?,
            "--cert" => options.cert = Some(value()?),
            "--key" => options.key = Some(value()?),
            "--write" => options.write = true,
            "--engine" => options.engine = value()?.parse().map_err(|_| "--engine needs a number")?,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

fn engine_event(log: &Log<MemorySequence>, number: u64) -> Result<(), String> {
    let event = Event::from(Paused {
        control: Control::Proving,
        by: PausedBy::Operator,
        note: format!("number {number}"),
    });
    let kind = event.event_type();
    let record =
        NewRecord::native(format!("chain-{}", number % 3), kind.name(), kind.version(), event.encode());
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros();
    let now = Micros(u64::try_from(now).unwrap_or(u64::MAX));
    log.append(Append::new(By::Scheduler, now, vec![record])).map(drop).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let options = options()?;
    let log = Arc::new(Log::open(MemorySequence::new(LogId([7; 16]))).map_err(|error| error.to_string())?);
    for number in 0..options.engine {
        engine_event(&log, number)?;
    }
    let here = Arc::new(Here::new(Arc::clone(&log)));
    let mut server = Server::new(Arc::clone(&here) as _, Arc::new(Guests(Two)));
    if options.write {
        server.writing = Some(Writing::new(here));
    }
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        let read = |path: &String| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
        server.tls = Some(Tls::from_pem(&read(cert)?, &read(key)?).map_err(|error| error.to_string())?);
    }
    let listener = tokio::net::TcpListener::bind(&options.listen).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("listening on {address}");
    if options.engine > 0 {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            for number in options.engine.. {
                ticks.tick().await;
                if let Err(error) = engine_event(&log, number) {
                    eprintln!("{error}");
                }
            }
        });
    }
    serve(listener, server, std::future::pending()).await.map_err(|error| error.to_string())
}
