//! The search tree of a MaxMind database, checked once before anything is looked up.
//!
//! A look-up walks at most 128 nodes whatever the tree holds, so a bad tree is never dangerous,
//! only wrong; this check finds it at load, while the previous database is still there to keep.
//! It also guards `Reader::verify`, which visits every path from the root: nodes that share
//! children have exponentially many, and a file of a few kilobytes would occupy it for ever.
//!
//! The work is bounded by a multiple of the node count. The records behind the tree are not
//! looked at here. Layout after the MaxMind DB File Format Specification 2.0, "Binary Search
//! Tree Section".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use maxminddb::Metadata;
use thiserror::Error;

/// Zero bytes between tree and data.
const SEPARATOR: usize = 16;

/// Visits allowed for each node. A plain tree needs two; the sharing that real files have, IPv4
/// reached also under `::ffff:0:0/96` and `2002::/16`, is not descended into.
const VISITS_PER_NODE: usize = 16;

/// Visits allowed to a tree of any size: short chains of shared nodes do no harm.
const FREE_VISITS: usize = 4096;

/// What is wrong with a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum TreeFault {
    #[error("node {node} of the search tree lies outside the file")]
    Truncated { node: u32 },
    #[error("the search tree is deeper than an address is long: it loops at node {node}")]
    Loop { node: u32 },
    #[error("nodes of the search tree share so many children that it cannot be checked")]
    FanOut,
    #[error("the search tree points to {value}, which is not in the data")]
    Pointer { value: u32 },
}

/// The tree of one file.
pub(super) struct Tree<'a> {
    bytes: &'a [u8],
    node_count: u32,
    record_size: u16,
    address_bits: u32,
    /// First record value past every possible data pointer.
    pointer_limit: usize,
}

/// A place on the way down: the address bits chosen so far, at the top of the address.
struct Visit {
    node: u32,
    depth: u32,
    bits: u128,
}

impl<'a> Tree<'a> {
    /// The tree at the beginning of a file. `Reader` has found the metadata to be possible.
    pub(super) fn new(bytes: &'a [u8], metadata: &Metadata) -> Tree<'a> {
        let node_count = usize::try_from(metadata.node_count).unwrap_or(usize::MAX);
        let tree_length = node_count.saturating_mul(usize::from(metadata.record_size) / 4);
        Tree {
            bytes,
            node_count: metadata.node_count,
            record_size: metadata.record_size,
            address_bits: if metadata.ip_version == 4 { 32 } else { 128 },
            pointer_limit: bytes
                .len()
                .saturating_sub(tree_length)
                .saturating_add(node_count),
        }
    }

    /// Walks the whole tree. Gives up to `wanted` addresses that have data, spread evenly over
    /// the tree in its order.
    pub(super) fn check(&self, wanted: usize) -> Result<Vec<IpAddr>, TreeFault> {
        let alias = self.ipv4_start()?;
        let mut sample = Sample::new(wanted);
        let mut left = FREE_VISITS
            + usize::try_from(self.node_count)
                .unwrap_or(0)
                .saturating_mul(VISITS_PER_NODE);
        let mut stack = vec![Visit {
            node: 0,
            depth: 0,
            bits: 0,
        }];
        while let Some(visit) = stack.pop() {
            left = left.checked_sub(1).ok_or(TreeFault::FanOut)?;
            if visit.node >= self.node_count {
                if self.is_data(visit.node)? {
                    sample.offer(self.address(visit.bits));
                }
            } else if Some(visit.node) != alias || visit.bits >> 32 == 0 {
                self.descend(&visit, &mut stack)?;
            }
        }
        Ok(sample.taken)
    }

    fn descend(&self, visit: &Visit, stack: &mut Vec<Visit>) -> Result<(), TreeFault> {
        if visit.depth >= self.address_bits {
            return Err(TreeFault::Loop { node: visit.node });
        }
        let [zero, one] = self.children(visit.node)?;
        let depth = visit.depth + 1;
        let bit = 1u128 << (self.address_bits - depth);
        stack.push(Visit {
            node: one,
            depth,
            bits: visit.bits | bit,
        });
        stack.push(Visit {
            node: zero,
            depth,
            bits: visit.bits,
        });
        Ok(())
    }

    /// The node under which IPv4 lies in an IPv6 tree, where that is a node of its own.
    fn ipv4_start(&self) -> Result<Option<u32>, TreeFault> {
        let mut node = 0;
        for _bit in 32..self.address_bits {
            if node >= self.node_count {
                return Ok(None);
            }
            [node, _] = self.children(node)?;
        }
        Ok((0 < node && node < self.node_count).then_some(node))
    }

    /// Whether a record value that is no node points to data; the other possibility is nothing.
    fn is_data(&self, value: u32) -> Result<bool, TreeFault> {
        let node = self.node_count;
        let offset = usize::try_from(value).unwrap_or(usize::MAX);
        let first = usize::try_from(node)
            .unwrap_or(usize::MAX)
            .saturating_add(SEPARATOR);
        if value == node {
            Ok(false)
        } else if (first..self.pointer_limit).contains(&offset) {
            Ok(true)
        } else {
            Err(TreeFault::Pointer { value })
        }
    }

    fn children(&self, node: u32) -> Result<[u32; 2], TreeFault> {
        let size = usize::from(self.record_size) / 4;
        let start = usize::try_from(node)
            .ok()
            .and_then(|node| node.checked_mul(size));
        let bytes = start.and_then(|start| self.bytes.get(start..start.checked_add(size)?));
        match bytes {
            Some(&[a, b, c, d, e, f]) => Ok([
                u32::from_be_bytes([0, a, b, c]),
                u32::from_be_bytes([0, d, e, f]),
            ]),
            // The middle byte holds the highest four bits of both children.
            Some(&[a, b, c, both, d, e, f]) => Ok([
                u32::from_be_bytes([both >> 4, a, b, c]),
                u32::from_be_bytes([both & 15, d, e, f]),
            ]),
            Some(&[a, b, c, d, e, f, g, h]) => Ok([
                u32::from_be_bytes([a, b, c, d]),
                u32::from_be_bytes([e, f, g, h]),
            ]),
            _ => Err(TreeFault::Truncated { node }),
        }
    }

    fn address(&self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if self.address_bits == 32 => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }
    }
}

/// An even choice from a sequence of unknown length: every `stride`-th, where the stride doubles
/// whenever there are too many.
struct Sample {
    taken: Vec<IpAddr>,
    limit: usize,
    stride: usize,
    seen: usize,
}

impl Sample {
    fn new(limit: usize) -> Sample {
        Sample {
            taken: Vec::new(),
            limit: limit.max(2),
            stride: 1,
            seen: 0,
        }
    }

    fn offer(&mut self, address: IpAddr) {
        if self.seen.is_multiple_of(self.stride) {
            if self.taken.len() == self.limit {
                self.thin_out();
            }
            self.taken.push(address);
        }
        self.seen += 1;
    }

    fn thin_out(&mut self) {
        let mut keep = false;
        self.taken.retain(|_| {
            keep = !keep;
            keep
        });
        self.stride = self.stride.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(bytes: &[u8], node_count: u32, record_size: u16, address_bits: u32) -> Tree<'_> {
        Tree {
            bytes,
            node_count,
            record_size,
            address_bits,
            pointer_limit: 1_000_000,
        }
    }

    /// 24-bit nodes.
    fn nodes(children: &[[u32; 2]]) -> Vec<u8> {
        let bytes = |value: &u32| value.to_be_bytes()[1..].to_vec();
        children.iter().flatten().flat_map(bytes).collect()
    }

    #[test]
    fn a_loop_is_named_by_its_node() {
        let bytes = nodes(&[[1, 2], [0, 2]]);
        let fault = tree(&bytes, 2, 24, 32).check(8).unwrap_err();
        assert!(matches!(fault, TreeFault::Loop { .. }));
    }

    #[test]
    fn shared_children_do_not_take_for_ever() {
        let chain: Vec<[u32; 2]> = (0..120).map(|node| [node + 1, node + 1]).collect();
        let bytes = nodes(&chain);
        assert_eq!(tree(&bytes, 120, 24, 128).check(8), Err(TreeFault::FanOut));
    }

    #[test]
    fn shared_ways_to_the_ipv4_node_do_not_take_for_ever() {
        // Every path of 96 bits leads to the node where IPv4 begins, which is not descended into
        // again: the paths alone have to use up the allowance.
        let mut chain: Vec<[u32; 2]> = (0..96).map(|node| [node + 1, node + 1]).collect();
        chain.push([97, 97]);
        let bytes = nodes(&chain);
        assert_eq!(tree(&bytes, 97, 24, 128).check(8), Err(TreeFault::FanOut));
    }

    #[test]
    fn pointers_past_the_data_and_into_the_separator_are_faults() {
        for value in [1_000_000, 3, 1 + 15] {
            let bytes = nodes(&[[1, value]]);
            assert_eq!(
                tree(&bytes, 1, 24, 32).check(8),
                Err(TreeFault::Pointer { value })
            );
        }
    }

    #[test]
    fn every_record_size_is_read() {
        let mut bytes = vec![0x23, 0x45, 0x67, 0x18, 0x9a, 0xbc, 0xde, 0xff];
        assert_eq!(
            tree(&bytes, 1, 28, 32).children(0),
            Ok([0x0123_4567, 0x089a_bcde])
        );
        assert_eq!(
            tree(&bytes, 1, 32, 32).children(0),
            Ok([0x2345_6718, 0x9abc_deff])
        );
        bytes.truncate(6);
        assert_eq!(
            tree(&bytes, 1, 24, 32).children(0),
            Ok([0x0023_4567, 0x0018_9abc])
        );
        assert_eq!(
            tree(&bytes, 2, 24, 32).children(1),
            Err(TreeFault::Truncated { node: 1 })
        );
    }

    #[test]
    fn a_sample_spreads_over_the_whole_sequence() {
        let mut sample = Sample::new(10);
        for bits in 0..1000 {
            sample.offer(IpAddr::V4(Ipv4Addr::from_bits(bits)));
        }
        assert!((5..=10).contains(&sample.taken.len()));
        assert!(sample.taken.last().unwrap() > &IpAddr::V4(Ipv4Addr::from_bits(700)));
    }

    proptest! {
        #[test]
        fn any_tree_is_checked_without_panic(bytes: Vec<u8>, node_count in 0u32..40, size in 0usize..3, bits in 0usize..2) {
            let tree = tree(&bytes, node_count, [24, 28, 32][size], [32, 128][bits]);
            let _result = tree.check(4);
        }
    }
}
