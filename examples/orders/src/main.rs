//! `orders inventory --data DIR`: one of the services as a program of its own, over HTTP.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use client::{Agent, DEFAULT_URL, Http, Serving, serve_http};
use orders::Service;
use orders::books::Books;
use stream::Stop;
use tracing::error;

/// One service of the order example, answering commands over HTTP or on Kafka.
#[derive(Parser)]
#[command(name = "orders", after_help = "Example: orders inventory --data ./books")]
struct Arguments {
    /// Which service.
    service: Name,
    /// Where the gateway is.
    #[arg(long, default_value = DEFAULT_URL, env = "PAVANE_URL")]
    url: String,
    /// A Kafka to speak to, `host:port,...`, past the gateway.
    #[cfg(feature = "kafka")]
    #[arg(long)]
    kafka: Option<String>,
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

type Ended = Box<dyn std::error::Error + Send + Sync>;

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

async fn run(arguments: Arguments) -> Result<(), Ended> {
    let service = Service::from(arguments.service);
    let agent = service.over(Books::open(&arguments.data.join(service.name()))?);
    let stop = Stop::default();
    let served = serve(&arguments, agent, &stop);
    tokio::pin!(served);
    tokio::select! {
        ended = &mut served => return ended,
        signal = tokio::signal::ctrl_c() => signal?,
    }
    stop.request();
    served.await
}

async fn serve(arguments: &Arguments, agent: Arc<dyn Agent>, stop: &Stop) -> Result<(), Ended> {
    #[cfg(feature = "kafka")]
    if let Some(bootstrap) = arguments.kafka.clone() {
        let stop = stop.clone();
        let served = tokio::task::spawn_blocking(move || on_kafka(&bootstrap, &*agent, &stop));
        return served.await?;
    }
    let http = Http::new(&arguments.url)?;
    Ok(serve_http(&http, agent, &Serving::default(), stop).await?)
}

#[cfg(feature = "kafka")]
fn on_kafka(bootstrap: &str, agent: &dyn Agent, stop: &Stop) -> Result<(), Ended> {
    use client::kafka::{Config, Kafka};

    // A participant sends no events, so it needs none of their schemas.
    let broker = Kafka::connect(Config::at(bootstrap), &[])?;
    Ok(client::serve(&broker, agent, &stream::SystemClock, &Serving::default(), stop)?)
}
