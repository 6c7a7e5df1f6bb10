//! Every toxic and every trap on plain sockets, while they are in use.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use orderly_devstack::wait_for;

use super::*;

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(10);

/// A server, a proxy before it, and the two ends of one connection.
struct Line {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Line {
    fn new(protocol: Protocol) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap(), protocol, 7).unwrap();
        let (client, server) = connection(&proxy, &listener);
        Self { proxy, listener, client, server }
    }

    fn plain() -> Self {
        Self::new(Protocol::Plain)
    }

    /// What the client says arrives, and what the server says does.
    fn expect_whole(&mut self) {
        say(&mut self.client, b"question");
        assert_eq!(hear(&mut self.server, 8).unwrap(), b"question");
        say(&mut self.server, b"answer");
        assert_eq!(hear(&mut self.client, 6).unwrap(), b"answer");
    }
}

fn connection(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
    }
    (client, server)
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
}

fn hear(stream: &mut TcpStream, count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Nothing arrives within a moment, and the connection is still there.
fn expect_silence(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(150 * MS)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
}

fn expect_reset(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn expect_end(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_healthy_line_passes_everything_and_counts_it() {
    let mut line = Line::plain();
    line.expect_whole();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let (mut writer, copy) = (line.client.try_clone().unwrap(), large.clone());
    let writing = std::thread::spawn(move || say(&mut writer, &copy));
    assert_eq!(hear(&mut line.server, large.len()).unwrap(), large);
    writing.join().unwrap();
    wait_for("all of it to be counted", LIMIT, || {
        let all = large.len() as u64 + 8;
        Ok((line.proxy.forwarded(Way::ToServer) == all).then_some(()))
    })
    .unwrap();
    assert_eq!(line.proxy.accepted(), 1);
}

#[test]
fn a_half_that_has_ended_leaves_the_other_half() {
    let mut line = Line::plain();
    line.client.shutdown(std::net::Shutdown::Write).unwrap();
    expect_end(&mut line.server);
    say(&mut line.server, b"still here");
    assert_eq!(hear(&mut line.client, 10).unwrap(), b"still here");
}

#[test]
fn latency_comes_and_goes_while_the_connection_lives() {
    let mut line = Line::plain();
    line.expect_whole();
    line.proxy.set(Way::ToClient, Toxics::late(200 * MS, 50 * MS));
    let started = Instant::now();
    say(&mut line.client, b"fast");
    hear(&mut line.server, 4).unwrap();
    let question = started.elapsed();
    say(&mut line.server, b"slow");
    hear(&mut line.client, 4).unwrap();
    assert!(started.elapsed() - question >= 150 * MS, "{:?}", started.elapsed());
    line.proxy.set(Way::ToClient, Toxics::late(3_600_000 * MS, Duration::ZERO));
    say(&mut line.server, b"later");
    expect_silence(&mut line.client);
    line.proxy.heal().unwrap();
    assert_eq!(hear(&mut line.client, 5).unwrap(), b"later");
    line.expect_whole();
}

#[test]
fn a_narrow_line_lets_through_no_more_than_it_should() {
    let mut line = Line::plain();
    line.proxy.set(Way::ToServer, Toxics::narrow(20_000));
    let started = Instant::now();
    say(&mut line.client, &[1; 6_000]);
    hear(&mut line.server, 6_000).unwrap();
    assert!(started.elapsed() >= 290 * MS, "{:?}", started.elapsed());
}

#[test]
fn slices_arrive_one_by_one_and_whole_in_the_end() {
    let mut line = Line::plain();
    line.proxy.set_both(&Toxics::sliced(1..=7, 2 * MS));
    let sent: Vec<u8> = (0..200).collect();
    say(&mut line.client, &sent);
    let mut heard: Vec<u8> = Vec::new();
    let mut reads = 0;
    while heard.len() < sent.len() {
        let mut piece = [0; 200];
        let length = line.server.read(&mut piece).unwrap();
        heard.extend(&piece[..length]);
        reads += 1;
    }
    assert_eq!(heard, sent);
    assert!(reads > 10, "only {reads} reads");
}

#[test]
fn a_black_hole_swallows_one_direction_and_even_the_end() {
    let mut line = Line::plain();
    line.proxy.set(Way::ToServer, Toxics::swallow());
    say(&mut line.client, b"lost");
    expect_silence(&mut line.server);
    say(&mut line.server, b"heard");
    assert_eq!(hear(&mut line.client, 5).unwrap(), b"heard");
    line.proxy.heal().unwrap();
    say(&mut line.client, b"found");
    assert_eq!(hear(&mut line.server, 5).unwrap(), b"found", "what was swallowed is gone");
    line.proxy.set(Way::ToServer, Toxics::swallow());
    line.client.shutdown(std::net::Shutdown::Write).unwrap();
    expect_silence(&mut line.server);
}

#[test]
fn what_is_held_arrives_once_healed() {
    let mut line = Line::plain();
    line.proxy.set_both(&Toxics::hold());
    say(&mut line.client, b"held");
    expect_silence(&mut line.server);
    line.proxy.heal().unwrap();
    assert_eq!(hear(&mut line.server, 4).unwrap(), b"held");
    line.expect_whole();
}

#[test]
fn the_end_can_be_late() {
    let mut line = Line::plain();
    let slow = Toxics { slow_close: 200 * MS, ..Toxics::default() };
    line.proxy.set(Way::ToServer, slow);
    say(&mut line.client, b"bye");
    line.client.shutdown(std::net::Shutdown::Write).unwrap();
    let started = Instant::now();
    assert_eq!(hear(&mut line.server, 3).unwrap(), b"bye");
    expect_end(&mut line.server);
    assert!(started.elapsed() >= 190 * MS, "{:?}", started.elapsed());
}

#[test]
fn all_connections_are_reset_or_closed_at_once() {
    for ending in [Ending::Reset, Ending::Close] {
        let mut line = Line::plain();
        let (mut other, mut other_server) = connection(&line.proxy, &line.listener);
        // Both ways are known to work, so both are known to be up.
        line.expect_whole();
        say(&mut other, b"here");
        hear(&mut other_server, 4).unwrap();
        line.proxy.cut(ending);
        for stream in [&mut line.client, &mut line.server, &mut other, &mut other_server] {
            match ending {
                Ending::Reset => expect_reset(stream),
                Ending::Close => expect_end(stream),
            }
        }
    }
}

#[test]
fn a_reset_is_passed_on() {
    let mut line = Line::plain();
    line.expect_whole();
    socket2::SockRef::from(&line.server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(line.server);
    expect_reset(&mut line.client);
}

#[test]
fn a_proxy_that_refuses_lets_nobody_new_in() {
    let mut line = Line::plain();
    for _ in 0..3 {
        line.proxy.refuse().unwrap();
        let error = TcpStream::connect(line.proxy.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        line.expect_whole();
        line.proxy.accept().unwrap();
        connection(&line.proxy, &line.listener);
    }
}

#[test]
fn new_connections_can_be_turned_to_another_server() {
    let line = Line::plain();
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    line.proxy.turn_to(other.local_addr().unwrap());
    let (mut client, mut server) = connection(&line.proxy, &other);
    say(&mut client, b"new");
    assert_eq!(hear(&mut server, 3).unwrap(), b"new");
}

#[test]
fn a_cut_after_some_bytes_lets_exactly_those_pass() {
    for count in [1, 7, 8, 9, 15] {
        let mut line = Line::plain();
        let trap = line.proxy.lay(Way::ToServer, Point::Bytes(count), Act::Cut(Ending::Close));
        say(&mut line.client, b"12345678");
        // The second half meets a closed connection, or not, as the cut was before or after it.
        let _ = line.client.write_all(b"90abcdef");
        let mut heard = Vec::new();
        let _ = line.server.read_to_end(&mut heard);
        assert_eq!(heard, b"1234567890abcdef"[..count as usize]);
        assert!(trap.has_sprung());
    }
}

fn postgres(tag: u8, text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend((text.len() as u32 + 4).to_be_bytes());
    bytes.extend(text);
    bytes
}

#[test]
fn a_commit_is_cut_before_or_after_it_and_only_the_nth() {
    let startup = [0, 0, 0, 8, 0, 3, 0, 0];
    let commit = postgres(b'Q', b"COMMIT\0");
    let points = [Point::Before(Pattern::COMMIT, 2), Point::After(Pattern::COMMIT, 2)];
    for (point, commits) in points.into_iter().zip([1, 2]) {
        let mut line = Line::new(Protocol::Postgres);
        let trap = line.proxy.lay(Way::ToServer, point, Act::Cut(Ending::Close));
        say(&mut line.client, &startup);
        say(&mut line.client, &commit);
        // In two parts, so that it is not known at once what it is.
        say(&mut line.client, &commit[..3]);
        let expected = [&startup[..], &commit].concat();
        assert_eq!(hear(&mut line.server, expected.len()).unwrap(), expected);
        assert!(!trap.has_sprung());
        say(&mut line.client, &commit[3..]);
        let mut heard = Vec::new();
        line.server.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, commit.repeat(commits - 1));
        assert!(trap.has_sprung());
    }
}

#[test]
fn a_tap_hears_both_ways_of_all_connections_in_order() {
    let mut line = Line::new(Protocol::Postgres);
    let startup = [0, 0, 0, 8, 0, 3, 0, 0];
    say(&mut line.client, &startup);
    hear(&mut line.server, startup.len()).unwrap();
    let tap = line.proxy.tap();
    let (mut client, mut server) = connection(&line.proxy, &line.listener);
    say(&mut client, &startup);
    hear(&mut server, startup.len()).unwrap();
    let (commit, done) = (postgres(b'Q', b"COMMIT\0"), postgres(b'C', b"COMMIT\0"));
    say(&mut line.client, &commit);
    hear(&mut line.server, commit.len()).unwrap();
    line.proxy.set(Way::ToClient, Toxics::swallow());
    say(&mut server, &done);
    expect_silence(&mut client);
    line.proxy.set(Way::ToClient, Toxics::late(20 * MS, Duration::ZERO));
    say(&mut line.server, &done);
    hear(&mut line.client, done.len()).unwrap();
    let heard = tap.heard();
    let heard: Vec<_> = heard.iter().map(|p| (p.connection, p.way, &*p.unit.bytes)).collect();
    let expected = [
        (1, Way::ToServer, &startup[..]),
        (0, Way::ToServer, &commit[..]),
        (0, Way::ToClient, &done[..]),
    ];
    assert_eq!(heard, expected);
}

#[test]
fn an_ack_is_held_until_released() {
    let mut line = Line::new(Protocol::Amqp);
    let ack = [&[1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80][..], &[0; 9], &[0xCE]].concat();
    let point = Point::Before(Pattern::Method(amqp::BASIC_ACK), 1);
    let trap = line.proxy.lay(Way::ToServer, point, Act::Hold);
    say(&mut line.client, b"AMQP\0\0\x09\x01");
    hear(&mut line.server, 8).unwrap();
    say(&mut line.client, &ack);
    expect_silence(&mut line.server);
    assert!(trap.has_sprung());
    say(&mut line.server, b"AMQP\0\0\x09\x01");
    assert_eq!(hear(&mut line.client, 8).unwrap().len(), 8, "the other direction goes on");
    trap.release();
    assert_eq!(hear(&mut line.server, ack.len()).unwrap(), ack);
}
