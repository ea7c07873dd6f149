//! A server for tests that says what it was told to say, odd or not, to one request after another.

use crate::aws::credentials::{Loader, Renewable};
use crate::aws::{Deadlines, Local, Session};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One answer, and how it ends. Each closes its connection.
pub(crate) enum Reply {
    Whole(Vec<u8>),
    /// What there is, then a reset.
    Breaks(Vec<u8>),
    /// What there is, then silence.
    Stalls(Vec<u8>),
}

pub(crate) struct Responder {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Responder {
    /// Serves these replies, in order of the requests, then nothing.
    pub(crate) async fn serving(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (heard, replies) = (Arc::clone(&asked), replies.into_iter().collect::<Vec<_>>());
        tokio::spawn(async move {
            for reply in replies {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                heard.lock().unwrap().push(request);
                match reply {
                    Reply::Whole(bytes) => {
                        // The client may have seen enough and gone.
                        let _ = stream.write_all(&bytes).await;
                        let _ = stream.shutdown().await;
                    }
                    Reply::Breaks(bytes) => {
                        let _ = stream.write_all(&bytes).await;
                        stream.set_zero_linger().unwrap();
                    }
                    Reply::Stalls(bytes) => {
                        let _ = stream.write_all(&bytes).await;
                        std::future::pending::<()>().await;
                    }
                }
            }
        });
        Self { address, asked }
    }

    /// Heads and bodies of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn session(&self) -> Session {
        self.session_within(Duration::from_secs(60))
    }

    pub(crate) fn session_within(&self, attempt: Duration) -> Session {
        Session::local(self.local(), Deadlines { attempt, ..Deadlines::default() }).unwrap()
    }

    /// A session whose credentials come from `load`, at first and at every renewal.
    pub(crate) async fn session_loading(&self, load: Loader) -> Session {
        let credentials = Renewable::new(load().await.unwrap(), load);
        let Local { url, region, .. } = self.local();
        Session::fixed(url, region, Deadlines::default(), credentials).unwrap()
    }

    fn local(&self) -> Local {
        Local {
            url: format!("http://{}", self.address),
            access_key_id: "AKIDLOCAL".into(),
            secret_access_key: "s3cret".into(),
            region: "us-east-1".into(),
        }
    }
}

/// A reply of these headers, lines of `name: value`, and this body.
pub(crate) fn reply(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Reply {
    Reply::Whole(message(status, headers, body.as_ref(), body.as_ref().len()))
}

pub(crate) fn message(status: u16, headers: &str, body: &[u8], length: usize) -> Vec<u8> {
    let headers: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    let head = format!(
        "HTTP/1.1 {status} X\r\nx-amzn-RequestId: r-1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// One request, its body included; `Content-Length` tells where it ends.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text[..end].lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return text.chars().take(end + 4 + 2000).collect();
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}
