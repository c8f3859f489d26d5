//! One keep-alive HTTP/1.1 connection, as lean as can be: the generator shares its cores with the
//! server, so what it burns is missing there.

use anyhow::{Context, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, as it stands in the connection's buffer.
pub(crate) struct Answer<'a> {
    pub(crate) status: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(FIRST_BYTES) })
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (body_at, end) = loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed a connection");
            ensure!(self.buffer.len() <= ANSWER_SIZE_BYTES_MAX, "an answer without end");
            if let Some((body_at, end)) = extent(&self.buffer)?
                && self.buffer.len() >= end
            {
                break (body_at, end);
            }
        };
        let status = self.buffer.get(9..12).context("no status line")?;
        let body = self.buffer.get(body_at..end).context("no body")?;
        Ok(Answer { status, body })
    }
}

/// A request with the headers that both doors get alike.
pub(crate) fn request(method: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
    request_with(method, path, (key, ""), body)
}

/// A change of what had this version.
pub(crate) fn change(path: &str, (key, version): (&str, u64), body: &str) -> Vec<u8> {
    request_with("PATCH", path, (key, &format!("if-match: \"{version}\"\r\n")), body)
}

fn request_with(method: &str, path: &str, (key, header): (&str, &str), body: &str) -> Vec<u8> {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\
         strongroom-purpose: support\r\n{header}"
    );
    if !body.is_empty() {
        let size = body.len();
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {size}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// Where the body begins and ends, once the head is there.
fn extent(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(head_size) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = bytes.get(..head_size).unwrap_or_default();
    let at = memmem::find(head, LENGTH).context("an answer without content-length")?;
    let digits = head.get(at + LENGTH.len()..).unwrap_or_default();
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let value = |sum: usize, digit: &u8| sum.saturating_mul(10) + usize::from(digit - b'0');
    let length = digits.iter().take_while(is_digit).fold(0, value);
    Ok(Some((head_size + 4, (head_size + 4).saturating_add(length))))
}

/// hyper writes header names in lower case.
const LENGTH: &[u8] = b"content-length: ";

const FIRST_BYTES: usize = 4096;

/// Answers here are a few hundred bytes.
const ANSWER_SIZE_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nx: y\r\n\r\nhello";
        assert_eq!(extent(text).unwrap(), Some((45, 57)));
        assert_eq!(extent(&text[..30]).unwrap(), None);
        assert!(extent(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
