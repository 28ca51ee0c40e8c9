//! A way to a server that can be made slow, silent or cut off.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What becomes of what is sent through a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It is passed on.
    Clear,
    /// Each piece is passed on so much later.
    Slow(Duration),
    /// Nothing is passed on, and nothing is said.
    Silent,
    /// Connections are closed, and new ones are closed at once.
    CutOff,
}

/// Passes connections on to one server on this machine. Ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    upstream: watch::Sender<Option<u16>>,
    _runtime: Runtime,
}

impl Proxy {
    /// Takes a free port; connections wait until [`Proxy::pass_to`] says where they go.
    ///
    /// # Panics
    /// Where there is no port, or no thread.
    #[must_use]
    pub fn open() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, watched) = watch::channel(Weather::Clear);
        let (upstream, towards) = watch::channel(None);
        drop(runtime.spawn(serve(listener, towards, watched)));
        Self { port, weather, upstream, _runtime: runtime }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Says where connections go.
    pub fn pass_to(&self, port: u16) {
        self.upstream.send_replace(Some(port));
    }

    /// Changes the weather, for connections that there are as well.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn serve(
    listener: TcpListener,
    upstream: watch::Receiver<Option<u16>>,
    weather: watch::Receiver<Weather>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (mut upstream, weather) = (upstream.clone(), weather.clone());
        drop(tokio::spawn(async move {
            let Ok(port) = upstream.wait_for(Option::is_some).await.map(|port| *port) else {
                return;
            };
            if *weather.borrow() == Weather::CutOff {
                return;
            }
            let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or_default()));
            let Ok(server) = TcpStream::connect(server).await else { return };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            // Whichever way ends first ends both.
            tokio::select! {
                () = pass(from_client, to_server, weather.clone()) => {}
                () = pass(from_server, to_client, weather) => {}
            }
        }));
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = tokio::select! {
            read = from.read(&mut piece) => match read {
                Ok(length) if length > 0 => length,
                Ok(_) | Err(_) => return,
            },
            cut = weather.wait_for(|now| *now == Weather::CutOff) => {
                drop(cut);
                return;
            }
        };
        let now = *weather.borrow();
        match now {
            Weather::Clear => {}
            Weather::Slow(delay) => tokio::time::sleep(delay).await,
            Weather::Silent => {
                if weather.wait_for(|now| *now != Weather::Silent).await.is_err() {
                    return;
                }
            }
            Weather::CutOff => return,
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    /// Through a proxy, to somebody who gives back what it is sent.
    fn echo() -> (Proxy, TcpStream) {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut piece = [0; 16];
            while let Ok(length) = stream.read(&mut piece) {
                if length == 0 || stream.write_all(&piece[..length]).is_err() {
                    return;
                }
            }
        }));
        let proxy = Proxy::open();
        proxy.pass_to(port);
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        (proxy, stream)
    }

    fn hears(stream: &mut TcpStream, text: &[u8]) -> bool {
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).is_ok() && heard == text
    }

    #[test]
    fn what_is_silent_says_it_later_and_what_is_cut_off_ends() {
        let (proxy, mut stream) = echo();
        stream.write_all(b"one").unwrap();
        assert!(hears(&mut stream, b"one"));
        proxy.set(Weather::Silent);
        stream.write_all(b"two").unwrap();
        assert!(!hears(&mut stream, b"two"), "nothing is passed on");
        proxy.set(Weather::Slow(Duration::from_millis(20)));
        assert!(hears(&mut stream, b"two"));
        proxy.set(Weather::CutOff);
        assert_eq!(stream.read(&mut [0; 1]).ok(), Some(0), "the connection ends");
    }
}
