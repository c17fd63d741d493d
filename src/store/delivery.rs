//! stub
use super::*;
#[derive(Debug)]
pub(super) struct Flight;
impl Store {
    /// stub
    pub fn claim<'s>(
        &mut self,
        output: usize,
        ready: &dyn Fn(usize) -> i64,
        together: &dyn Fn(SeriesRef) -> &'s [SeriesRef],
        limit: usize,
        now_ms: i64,
    ) -> Result<Option<Claim>, StoreError> {
        todo!()
    }
    /// stub
    pub fn acknowledge(
        &mut self,
        output: usize,
        claim: u64,
        settle_ms: &[i64],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// stub
    pub fn release(&mut self, output: usize, claim: u64) -> Result<(), StoreError> {
        todo!()
    }
    /// stub
    pub fn doubt_since(&mut self, output: usize, minute: i64) -> Result<(), StoreError> {
        todo!()
    }
    /// stub
    pub fn queue(&self, output: usize) -> Result<Queue, StoreError> {
        todo!()
    }
}
