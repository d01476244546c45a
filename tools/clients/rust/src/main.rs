//! What the official Rust clients do with the server, under both names that they are published by.
//!
//! Run by tools/clients/run with the client's name (each wants to be alone in its process), the server's address, a
//! certificate's file (empty means without TLS), the number of events of the engine that are there, and a program that
//! ends the server and starts it again. Ends with a panic at the first surprise.

mod eventstore_client;
mod kurrentdb_client;

/// What the checks are told.
#[derive(Debug, Clone)]
struct Told {
    address: String,
    tls: String,
    engine: usize,
    restart: String,
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let certificate = &words[3];
    let tls = match certificate.as_str() {
        "" => "tls=false".to_owned(),
        file => format!("tls=true&tlsCaFile={file}"),
    };
    let told =
        Told { address: words[2].clone(), tls, engine: words[4].parse().unwrap(), restart: words[5].clone() };
    let how = if certificate.is_empty() { "without TLS" } else { "with TLS" };
    let client = words[1].as_str();
    match client {
        "kurrentdb" => kurrentdb_client::check(&told).await,
        "eventstore" => eventstore_client::check(&told).await,
        _ => panic!("no client {client}"),
    }
    println!("ok: rust, {client} {how}");
}
