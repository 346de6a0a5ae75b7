internal import CLinuxBench
internal import Glibc

/// Nanoseconds of CLOCK_MONOTONIC. All processes of a machine share it, in whatever network namespace.
public func monotonicNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Sleeps until a point of `monotonicNow()`; at once when it has passed.
public func sleep(until deadline: Int64) {
    var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
}

/// Lets this thread wake within microseconds of what it asks for; the kernel's default is 50 µs later.
public func wakePrecisely() {
    _ = CLinuxBench_set_timer_slack(1)
}

/// Lets this thread run before all of the usual ones, as what it stands for does not wait for a processor; without the
/// privilege nothing changes.
public func runFirst() {
    var parameter = sched_param(sched_priority: 1)
    sched_setscheduler(0, SCHED_FIFO, &parameter)
}
