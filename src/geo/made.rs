//! Small databases with known answers, made in memory for tests, and the folder of real ones.
//!
//! Writes the MaxMind DB File Format 2.0 with 24-bit nodes. Not for files people use: nothing is
//! shared, and networks must be given from the widest to the narrowest.

use std::net::IpAddr;
use std::path::PathBuf;

/// The folder with MaxMind's test databases, named by the environment. `None`, with a line
/// about it, when it is not there.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder =
        std::env::var_os("BEACONTAIL_FIXTURES").map(|root| PathBuf::from(root).join("mmdb"));
    if folder.is_none() {
        println!("skipped: BEACONTAIL_FIXTURES names no folder");
    }
    folder
}

/// A value of a record.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A string.
    Text(&'static str),
    /// An unsigned integer of 32 bits.
    Number(u32),
    /// A map.
    Map(Vec<(&'static str, Value)>),
}

impl Value {
    pub(crate) fn map<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
        Value::Map(fields.to_vec())
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Text(text) => write_text(text, out),
            Value::Number(number) => {
                out.push(6 << 5 | 4);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Value::Map(fields) => {
                write_header(7, fields.len(), out);
                for (key, value) in fields {
                    write_text(key, out);
                    value.write(out);
                }
            }
        }
    }
}

/// What is told about a database besides its records.
pub(crate) struct Maker {
    pub(crate) database_type: &'static str,
    pub(crate) description: bool,
    pub(crate) ip_version: u16,
    pub(crate) build_epoch: u64,
}

/// An IPv6 database, as those in use are, with IPv4 networks under `::/96`.
pub(crate) fn database(database_type: &'static str, networks: &[(&str, Value)]) -> Vec<u8> {
    Maker::new(database_type).make(networks)
}

#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    Record(usize),
}

impl Maker {
    pub(crate) fn new(database_type: &'static str) -> Maker {
        Maker {
            database_type,
            description: true,
            ip_version: 6,
            build_epoch: 1_700_000_000,
        }
    }

    pub(crate) fn make(&self, networks: &[(&str, Value)]) -> Vec<u8> {
        let mut nodes = vec![[Child::Nothing; 2]];
        let mut records = Vec::new();
        for (network, value) in networks {
            let bits = self.path(network);
            plant(&mut nodes, &bits, records.len());
            value.write(&mut records);
        }
        let mut out = Vec::new();
        for child in nodes.iter().flatten() {
            let value = match child {
                Child::Nothing => nodes.len(),
                Child::Node(node) => *node,
                Child::Record(offset) => nodes.len() + 16 + offset,
            };
            out.extend_from_slice(&u32::try_from(value).unwrap().to_be_bytes()[1..]);
        }
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&records);
        self.write_metadata(nodes.len(), &mut out);
        out
    }

    /// The bits from the root to the network.
    fn path(&self, network: &str) -> Vec<usize> {
        let (address, prefix) = network.split_once('/').unwrap();
        let prefix: usize = prefix.parse().unwrap();
        let (bits, skipped, length) = match address.parse().unwrap() {
            IpAddr::V4(address) if self.ip_version == 4 => {
                (u128::from(address.to_bits()), 96, prefix)
            }
            IpAddr::V4(address) => (u128::from(address.to_bits()), 0, 96 + prefix),
            IpAddr::V6(address) => (address.to_bits(), 0, prefix),
        };
        (0..length)
            .map(|depth| usize::from(bits >> (127 - skipped - depth) & 1 == 1))
            .collect()
    }

    fn write_metadata(&self, node_count: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        write_header(7, 9, out);
        for (key, number) in [
            ("binary_format_major_version", 2),
            ("binary_format_minor_version", 0),
            ("ip_version", self.ip_version),
            ("record_size", 24),
        ] {
            write_text(key, out);
            out.push(5 << 5 | 2);
            out.extend_from_slice(&number.to_be_bytes());
        }
        write_text("node_count", out);
        Value::Number(u32::try_from(node_count).unwrap()).write(out);
        write_text("build_epoch", out);
        out.extend_from_slice(&[8, 2]);
        out.extend_from_slice(&self.build_epoch.to_be_bytes());
        write_text("database_type", out);
        write_text(self.database_type, out);
        write_text("description", out);
        let description = self
            .description
            .then_some(("en", Value::Text("made for a test")));
        Value::Map(description.into_iter().collect()).write(out);
        write_text("languages", out);
        // An empty array: extended type 11.
        out.extend_from_slice(&[0, 4]);
    }
}

fn plant(nodes: &mut Vec<[Child; 2]>, bits: &[usize], offset: usize) {
    let Some((&last, way)) = bits.split_last() else {
        nodes[0] = [Child::Record(offset); 2];
        return;
    };
    let mut node = 0;
    for &bit in way {
        node = match nodes[node][bit] {
            Child::Node(next) => next,
            // A narrower network in a wider one: both halves inherit its record.
            inherited => {
                nodes.push([inherited; 2]);
                let next = nodes.len() - 1;
                nodes[node][bit] = Child::Node(next);
                next
            }
        };
    }
    nodes[node][last] = Child::Record(offset);
}

fn write_header(kind: u8, length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length).unwrap() {
        length @ 0..29 => out.push(kind << 5 | length),
        length => out.extend_from_slice(&[kind << 5 | 29, length - 29]),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_header(2, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}
