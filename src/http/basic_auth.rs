//! Passwords: RFC 7617 credentials against bcrypt hashes.
//!
//! bcrypt is slow by intent, and a scraper asks with each scrape. A password that was right once is
//! therefore remembered, as a keyed digest that is of no use elsewhere, for as long as the file is
//! unchanged. Wrong ones are not remembered: there are at most as many digests as users, and nobody
//! can push another's out. One hash is computed at a time, so that guesses cannot take all
//! processors; a remembered password does not wait for its turn.
//!
//! Invariant: no password is kept, and none is ever part of a message. A user who does not exist
//! costs as much time as one who does.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::crypto::SecureRandom;
use sha2::{Digest, Sha256};

/// Costs that a hash may have. At 16 one guess takes seconds, and so does the first scrape.
const COSTS: std::ops::RangeInclusive<u32> = 4..=16;

/// A salt and a hash of nobody's, to be compared with for users who do not exist.
const NOBODY: &str = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

/// Who may enter. Without any user, everybody.
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    nobody: String,
    key: [u8; 32],
    /// By user. One for each: bcrypt stops reading at 72 bytes, so a user has many right passwords.
    admitted: Mutex<HashMap<String, [u8; 32]>>,
    turn: Mutex<()>,
}

/// What is wrong with the users of a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// Not of the form `$2y$10$…`.
    #[error("what stands for user `{}` is no bcrypt hash (`htpasswd -nBC 10 \"\"` makes one)", .0.escape_debug())]
    NoHash(String),
    /// Too cheap to protect anything, or so dear that a request takes minutes.
    #[error("the hash of user `{}` has cost {cost}, where 4 to 16 can be used", .user.escape_debug())]
    Cost {
        /// The user.
        user: String,
        /// The cost in its hash.
        cost: u32,
    },
    /// The system has no random numbers.
    #[error("no random numbers are to be had for the cache of passwords")]
    Random,
}

impl Users {
    /// Checks the hashes.
    ///
    /// # Errors
    /// For the first user whose hash cannot be used.
    pub(super) fn new(
        hashes: BTreeMap<String, String>,
        random: &dyn SecureRandom,
    ) -> Result<Users, UsersError> {
        let mut dearest = *COSTS.start();
        for (user, hash) in &hashes {
            let parts = bcrypt::HashParts::from_str(hash);
            let parts = parts.map_err(|_| UsersError::NoHash(user.clone()))?;
            let cost = parts.get_cost();
            if !COSTS.contains(&cost) {
                let user = user.clone();
                return Err(UsersError::Cost { user, cost });
            }
            dearest = dearest.max(cost);
        }
        let mut key = [0; 32];
        random.fill(&mut key).map_err(|_| UsersError::Random)?;
        Ok(Users {
            hashes,
            nobody: format!("$2b${dearest:02}${NOBODY}"),
            key,
            admitted: Mutex::default(),
            turn: Mutex::default(),
        })
    }

    /// True when everybody may enter.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// True when the value of `Authorization` is that of a user. May take a while.
    pub(super) fn admit(&self, authorization: Option<&[u8]>) -> bool {
        if self.is_empty() {
            return true;
        }
        let Some(plain) = authorization.and_then(credentials) else {
            return false;
        };
        let Some(colon) = plain.iter().position(|&byte| byte == b':') else {
            return false;
        };
        let (user, password) = plain.split_at(colon);
        let password = password.get(1..).unwrap_or_default();
        let user = std::str::from_utf8(user).unwrap_or_default();
        let hash = self.hashes.get(user);
        let digest = self.digest(&plain);
        let is_known = || locked(&self.admitted).get(user) == Some(&digest);
        if is_known() {
            return true;
        }
        let _turn = locked(&self.turn);
        // Somebody with the same password may have had the turn before.
        if is_known() {
            return true;
        }
        let matches = bcrypt::verify(password, hash.unwrap_or(&self.nobody)).unwrap_or(false);
        let admitted = matches && hash.is_some();
        if admitted {
            locked(&self.admitted).insert(user.to_owned(), digest);
        }
        admitted
    }

    /// A digest of user, colon and password. SHA-256 with the key in front can be lengthened by who
    /// knows a digest; none ever leaves this process.
    fn digest(&self, plain: &[u8]) -> [u8; 32] {
        let digest = Sha256::new().chain_update(self.key).chain_update(plain);
        digest.finalize().into()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users").field(&self.hashes.len()).finish()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// User, colon and password of `Basic …`.
fn credentials(authorization: &[u8]) -> Option<Vec<u8>> {
    let (scheme, token) = authorization.split_at_checked(6)?;
    let is_basic = scheme.eq_ignore_ascii_case(b"basic ");
    is_basic.then(|| decoded(token.trim_ascii())).flatten()
}

/// Base64 of RFC 4648, section 4, with or without its padding.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let end = text
        .iter()
        .rposition(|&byte| byte != b'=')
        .map_or(0, |last| last + 1);
    let (letters, padding) = text.split_at(end);
    if padding.len() > 2 || letters.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len() * 3 / 4);
    for group in letters.chunks(4) {
        let mut word = 0u32;
        for letter in group {
            word = word << 6 | sextet(*letter)?;
        }
        word <<= 6 * (4 - group.len());
        let [_, three @ ..] = word.to_be_bytes();
        bytes.extend(three.iter().take(group.len() - 1));
    }
    Some(bytes)
}

fn sextet(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
pub(super) mod made {
    //! Credentials for tests.

    /// Base64 by the book: three bytes, four letters.
    pub(in super::super) fn encoded(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        let bits: Vec<char> = bits.chars().collect();
        let mut text = String::new();
        for six in bits.chunks(6) {
            let six: String = six.iter().collect();
            let at = usize::from_str_radix(&format!("{six:0<6}"), 2).unwrap();
            text.push(char::from(ALPHABET[at]));
        }
        while !text.len().is_multiple_of(4) {
            text.push('=');
        }
        text
    }

    /// The header's value.
    pub(in super::super) fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", encoded(format!("{user}:{password}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::made::{basic, encoded};
    use super::*;
    use proptest::prelude::*;

    fn users(pairs: &[(&str, &str)]) -> Users {
        let hashes = pairs
            .iter()
            .map(|(user, password)| ((*user).to_owned(), bcrypt::hash(password, 4).unwrap()));
        made(hashes.collect()).unwrap()
    }

    fn made(hashes: BTreeMap<String, String>) -> Result<Users, UsersError> {
        let provider = rustls::crypto::ring::default_provider();
        Users::new(hashes, provider.secure_random)
    }

    fn admits(users: &Users, header: &str) -> bool {
        users.admit(Some(header.as_bytes()))
    }

    #[test]
    fn only_the_right_password_opens_and_it_is_hashed_once() {
        let users = users(&[("anna", "se:cret"), ("ben", "")]);
        for _ in 0..2 {
            assert!(admits(&users, &basic("anna", "se:cret")));
            assert!(admits(&users, &basic("ben", "").replace("Basic", "bAsIc")));
            for wrong in [
                basic("anna", "secret"),
                basic("ben", "se:cret"),
                basic("nobody", ""),
                basic("", ""),
                encoded(b"anna:se:cret"),
                format!("Basic {}", encoded(b"anna")),
                format!("Basic {}", encoded(b"\xff\xff:x")),
                "Basic ####".to_owned(),
                "Basic ".to_owned(),
                String::new(),
            ] {
                assert!(!admits(&users, &wrong), "{wrong}");
            }
            assert!(!users.admit(None));
        }
        assert_eq!(
            locked(&users.admitted).len(),
            2,
            "wrong ones are not remembered"
        );
    }

    #[test]
    fn many_right_passwords_are_one_memory() {
        let long = "x".repeat(72);
        let users = users(&[("anna", &long)]);
        for n in 0..9 {
            assert!(admits(&users, &basic("anna", &format!("{long}{n}"))));
        }
        assert_eq!(locked(&users.admitted).len(), 1);
    }

    #[test]
    fn without_users_everybody_may_enter() {
        assert!(users(&[]).admit(None));
    }

    #[test]
    fn hashes_that_cannot_be_used_are_refused_and_not_shown() {
        let one = |hash: &str| made(BTreeMap::from([("anna".to_owned(), hash.to_owned())]));
        let error = one("hunter2").unwrap_err();
        assert_eq!(error, UsersError::NoHash("anna".to_owned()));
        assert!(!error.to_string().contains("hunter2"));
        let dear = one(&format!("$2y$31${NOBODY}")).unwrap_err();
        assert!(matches!(dear, UsersError::Cost { cost: 31, .. }));
        assert!(one(&format!("$2y$10${NOBODY}")).is_ok());
        assert!(!format!("{:?}", users(&[("anna", "x")])).contains("anna"));
    }

    #[test]
    fn nobodys_hash_is_a_hash() {
        let parts = bcrypt::HashParts::from_str(&users(&[]).nobody).unwrap();
        assert_eq!(parts.get_cost(), 4);
        assert!(bcrypt::verify("x", &users(&[]).nobody).is_ok());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = encoded(&bytes);
            prop_assert_eq!(decoded(text.as_bytes()), Some(bytes.clone()));
            prop_assert_eq!(decoded(text.trim_end_matches('=').as_bytes()), Some(bytes));
        }

        #[test]
        fn no_header_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            credentials(&bytes);
            credentials(&[b"Basic ", bytes.as_slice()].concat());
        }
    }
}
