//! Where a request came from: the client's address and the place of that address.
//!
//! Four steps, each usable alone: `address` reads one address the way logs write it and masks
//! addresses before people see them; `proxies` walks the hops of a request to its client;
//! `providers` tells whose an address is by the ranges that CDNs publish;
//! `database` answers country, continent, city and network of an address from MaxMind files,
//! and `cache` makes repeated answers cheap.
//!
//! Invariant: no input, neither a log line nor a database file, makes this module panic, loop or
//! fail a line. The worst answer is `None`, which a rule shows as unknown. Private addresses are
//! classified here and never looked up.
//!
//! It does not watch files and keeps no clock: a newer database is a new `GeoDatabases` with new
//! `GeoCache`s, made by whoever decides to reload.

mod address;
mod cache;
mod database;
#[cfg(test)]
pub(crate) mod made;
mod providers;
mod proxies;
mod standard;
mod tree;

pub use address::{Masked, mask, mask_addresses, parse_address, replace_addresses, special};
pub use cache::{GeoCache, Places, TextId};
pub use database::{GeoDatabase, GeoDatabases, GeoError, Place, SIZE_LIMIT};
pub use providers::{ClientHeader, Providers, RangesError, Trust};
pub use proxies::{
    AddressEntryError, AddressListError, AddressSet, Step, Verdict, client, walk_steps,
};
pub use standard::standard_places;
