//! What EC2 tells of a snapshot's size, held against its list of blocks.

use crate::cli::{Outcome, one_object};
use crate::together::{Serve, aimed};
use crate::verify::command::One;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Passes on what is said between the program and an endpoint, but for one word of the endpoint's answers.
fn saying_otherwise(url: &str, word: &'static str, other: &'static str) -> String {
    assert_eq!(word.len(), other.len(), "answers keep their length");
    let behind = url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&behind).unwrap());
            let (mut asked, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asked, &mut to_server));
            std::thread::spawn(move || {
                let mut bytes = vec![0; 1 << 20];
                while let Ok(n @ 1..) = server.read(&mut bytes) {
                    let said = bytes[..n].windows(word.len()).position(|at| at == word.as_bytes());
                    if let Some(at) = said {
                        bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
                    }
                    if client.write_all(&bytes[..n]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_snapshot_that_holds_more_or_less_than_is_told_fails_at_its_block_map() {
    let One { here, id } = One::new();
    let serve = Serve::start(&here);
    // Three blocks are listed; two, three and four are told.
    let tag = "<fullSnapshotSizeInBytes>1572864<";
    for (told, code, state) in [
        ("<fullSnapshotSizeInBytes>1048576<", 1, "fail"),
        (tag, 0, "pass"),
        ("<fullSnapshotSizeInBytes>2097152<", 1, "fail"),
    ] {
        let url = saying_otherwise(&serve.url, tag, told);
        let run = |words: &[&str]| Outcome::of(&aimed(&here, &url, words).output().unwrap());
        let looked = run(&["verify", &id, "--level", "1", "--format", "json"]);
        let report = one_object(&looked.stdout);
        assert_eq!((looked.code, &report["state"]), (code, &state.into()), "{told} {}", looked.stderr);
        assert_eq!(report["size_drift"].is_null(), code == 0, "{report}");
        let text = run(&["verify", &id, "--level", "1"]);
        assert_eq!(text.stdout.contains("its block list 1.5 MiB"), code == 1, "{}", text.stdout);
        let deeper = run(&["verify", &id, "--format", "json"]);
        assert_eq!(deeper.code, 0, "deeper it is only said, for every block that is listed was read");
        assert_eq!(one_object(&deeper.stdout)["size_drift"].is_null(), code == 0);
    }
}
