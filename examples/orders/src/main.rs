//! `orders inventory --data DIR`: one of the services as a program of its own, over HTTP.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use client::{DEFAULT_URL, Http, Serving, serve_http};
use orders::Service;
use orders::books::Books;
use stream::Stop;
use tracing::error;

/// One service of the order example, answering commands over HTTP.
#[derive(Parser)]
#[command(name = "orders", after_help = "Example: orders inventory --data ./books")]
struct Arguments {
    /// Which service.
    service: Name,
    /// Where the gateway is.
    #[arg(long, default_value = DEFAULT_URL, env = "PAVANE_URL")]
    url: String,
    /// The folder below which the service keeps its books.
    #[arg(long, default_value = "./orders-data")]
    data: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Inventory,
    Payment,
    Fraud,
    Fulfillment,
    Notification,
}

impl From<Name> for Service {
    fn from(name: Name) -> Self {
        match name {
            Name::Inventory => Self::Inventory,
            Name::Payment => Self::Payment,
            Name::Fraud => Self::Fraud,
            Name::Fulfillment => Self::Fulfillment,
            Name::Notification => Self::Notification,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = &*error, "the service has ended");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let service = Service::from(arguments.service);
    let books = Books::open(&arguments.data.join(service.name()))?;
    let http = Http::new(&arguments.url)?;
    let stop = Stop::default();
    let (serving, agent) = (Serving::default(), service.over(books));
    let served = serve_http(&http, agent, &serving, &stop);
    tokio::pin!(served);
    tokio::select! {
        ended = &mut served => return Ok(ended?),
        signal = tokio::signal::ctrl_c() => signal?,
    }
    stop.request();
    Ok(served.await?)
}
