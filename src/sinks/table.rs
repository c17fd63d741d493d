//! stub
use std::io;
use super::{Summary,SeriesStream};
/// o
pub struct TableOptions<'f> { /// w
pub width: usize, /// c
pub color: bool, /// u
pub unicode: bool, /// f
pub format_time: &'f dyn Fn(i64)->String }
/// w
pub fn write(_o:&mut impl io::Write,_s:&Summary,_st:&mut dyn SeriesStream,_op:&TableOptions<'_>)->io::Result<()> {Ok(())}
