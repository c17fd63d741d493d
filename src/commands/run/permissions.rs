//! Whether somebody may read or write a path, by owner, group, mode and access list.
//!
//! The answer is worked out, not tried: trying would mean to become that user. Capabilities and
//! security modules are not looked at.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A user and the groups it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    uid: u32,
    groups: Vec<u32>,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// Write into a directory or file.
    Write,
    /// Pass through a directory.
    Pass,
}

impl Access {
    fn bit(self) -> u32 {
        match self {
            Access::Read => 4,
            Access::Write => 2,
            Access::Pass => 1,
        }
    }
}

impl Person {
    /// The user of this name in `/etc/passwd`, with the groups of `/etc/group`; `None` when there is no
    /// such user.
    ///
    /// # Errors
    /// Those of reading the files.
    pub(super) fn named(name: &str) -> io::Result<Option<Person>> {
        let users = fs::read_to_string("/etc/passwd")?;
        let groups = fs::read_to_string("/etc/group")?;
        Ok(Person::of(name, &users, &groups))
    }

    fn of(name: &str, users: &str, groups: &str) -> Option<Person> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let user = users
            .lines()
            .map(fields)
            .find(|user| user.first().is_some_and(|n| n == name))?;
        let mut ids = vec![user.get(3)?.parse().ok()?];
        for group in groups.lines().map(fields) {
            let members = group.get(3).map_or("", String::as_str);
            if members.split(',').any(|member| member == name) {
                ids.extend(group.get(2).and_then(|id| id.parse::<u32>().ok()));
            }
        }
        Some(Person {
            uid: user.get(2)?.parse().ok()?,
            groups: ids,
        })
    }

    /// The first thing on the way to `path` that stands against it; `None` when the access is
    /// granted.
    ///
    /// # Errors
    /// What cannot be looked at.
    pub(super) fn hindrance(&self, path: &Path, access: Access) -> io::Result<Option<String>> {
        let target = fs::canonicalize(path)?;
        let mut folders: Vec<&Path> = target.ancestors().skip(1).collect();
        folders.reverse();
        for folder in folders {
            if !self.may(folder, Access::Pass)? {
                return Ok(Some(format!("may not pass through {}", folder.display())));
            }
        }
        if self.may(&target, access)? {
            return Ok(None);
        }
        let verb = match access {
            Access::Read => "read",
            Access::Write => "write",
            Access::Pass => "pass through",
        };
        Ok(Some(format!("may not {verb} {}", target.display())))
    }

    fn may(&self, path: &Path, access: Access) -> io::Result<bool> {
        let meta = fs::metadata(path)?;
        if self.uid == 0 {
            return Ok(true);
        }
        let list = access_list(path);
        Ok(self.granted(meta.uid(), meta.gid(), meta.mode(), &list, access.bit()))
    }

    /// As acl(5) decides: owner, then named users, then groups, then everybody else; the mask bounds
    /// all but owner and others.
    fn granted(&self, uid: u32, gid: u32, mode: u32, list: &[Entry], bit: u32) -> bool {
        if self.uid == uid {
            return mode >> 6 & bit != 0;
        }
        let mask = list.iter().find(|entry| entry.tag == MASK);
        let mask = mask.map_or(7, |entry| entry.bits);
        let named = |entry: &&Entry| entry.tag == USER && entry.id == self.uid;
        if let Some(entry) = list.iter().find(named) {
            return entry.bits & mask & bit != 0;
        }
        let own = list.iter().find(|entry| entry.tag == OWNING_GROUP);
        let own = own.map_or(mode >> 3 & 7, |entry| entry.bits);
        let groups = list.iter().filter(|entry| entry.tag == GROUP);
        let groups = groups
            .map(|entry| (entry.id, entry.bits))
            .chain([(gid, own)]);
        let mine: Vec<u32> = groups
            .filter(|(id, _)| self.groups.contains(id))
            .map(|(_, bits)| bits)
            .collect();
        if mine.is_empty() {
            return mode & bit != 0;
        }
        mine.iter().any(|bits| bits & mask & bit != 0)
    }
}

/// An entry of a POSIX access list.
#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u16,
    bits: u32,
    id: u32,
}

const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

/// The access list of a file; empty when there is none beside its mode.
fn access_list(path: &Path) -> Vec<Entry> {
    let mut bytes = vec![0; 4096];
    let length = rustix::fs::getxattr(path, "system.posix_acl_access", &mut bytes);
    let bytes = length.ok().and_then(|length| bytes.get(..length));
    entries(bytes.unwrap_or_default())
}

/// A version of four bytes, then tag, permissions and id of each entry, little endian.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let entry = |chunk: &[u8]| {
        let [tag, bits, id] = [chunk.get(..2)?, chunk.get(2..4)?, chunk.get(4..8)?];
        Some(Entry {
            tag: u16::from_le_bytes(tag.try_into().ok()?),
            bits: u32::from(u16::from_le_bytes(bits.try_into().ok()?)),
            id: u32::from_le_bytes(id.try_into().ok()?),
        })
    };
    let chunks = bytes.get(4..).unwrap_or_default().chunks_exact(8);
    chunks.filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\nagent:x:900:901:,,,:/nonexistent:/bin/false\n";
    const GROUPS: &str = "adm:x:4:syslog,agent\nagent:x:901:\nwww-data:x:33:\n";

    fn agent() -> Person {
        Person::of("agent", USERS, GROUPS).unwrap()
    }

    #[test]
    fn people_are_found_with_all_their_groups() {
        let person = agent();
        assert_eq!((person.uid, person.groups), (900, vec![901, 4]));
        assert_eq!(Person::of("nobody", USERS, GROUPS), None);
    }

    #[test]
    fn modes_are_read_for_owner_group_and_others() {
        let agent = agent();
        for (uid, gid, mode, expected) in [
            (900, 0, 0o400, true),
            (900, 4, 0o044, false),
            (0, 4, 0o640, true),
            (0, 4, 0o604, false),
            (0, 33, 0o640, false),
            (0, 33, 0o644, true),
        ] {
            assert_eq!(agent.granted(uid, gid, mode, &[], 4), expected, "{mode:o}");
        }
    }

    #[test]
    fn access_lists_name_people_and_groups_within_their_mask() {
        let entry = |tag, bits, id| Entry { tag, bits, id };
        let agent = agent();
        let named = [
            entry(USER, 4, 900),
            entry(OWNING_GROUP, 0, 0),
            entry(MASK, 4, 0),
        ];
        assert!(agent.granted(0, 33, 0o640, &named, 4));
        let masked = [
            entry(USER, 4, 900),
            entry(OWNING_GROUP, 4, 0),
            entry(MASK, 0, 0),
        ];
        assert!(!agent.granted(0, 33, 0o600, &masked, 4));
        let group = [
            entry(GROUP, 4, 4),
            entry(OWNING_GROUP, 0, 0),
            entry(MASK, 7, 0),
        ];
        assert!(agent.granted(0, 33, 0o670, &group, 4));
    }

    #[test]
    fn lists_as_the_kernel_gives_them_are_read() {
        let mut bytes = vec![2, 0, 0, 0];
        bytes.extend([0x02, 0, 4, 0, 0x84, 3, 0, 0]);
        let found = entries(&bytes);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].tag, found[0].bits, found[0].id), (USER, 4, 900));
        assert!(entries(&[1, 2]).is_empty());
    }
}
