// Rust names, in either mangling: a trait's method, a generic function, a closure. Sleeps in the innermost.
use std::io::Write;

extern "C" {
    fn pause() -> i32;
}

trait Rest {
    fn rest(&self) -> i32;
}

struct Chair<T>(T);

impl<T> Rest for Chair<T> {
    #[inline(never)]
    fn rest(&self) -> i32 {
        println!("ready");
        std::io::stdout().flush().unwrap();
        loop {
            unsafe { pause() };
        }
    }
}

#[inline(never)]
fn take<R: Rest>(seat: &R) -> i32 {
    std::hint::black_box(seat.rest())
}

fn main() {
    let closure = |n: u64| std::hint::black_box(take(&Chair(n)));
    std::process::exit(std::hint::black_box(closure)(5));
}
