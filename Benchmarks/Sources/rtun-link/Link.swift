import BenchSupport
import CLinuxBench
import Glibc

/// Moves packets between two devices, each way through a `Direction`, in one thread.
struct Link: ~Copyable {
    private let a: TunDevice
    private let b: TunDevice
    private var forth: Direction
    private var back: Direction
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: TunDevice.mtu, alignment: 16)

    /// After some work the thread sleeps that long before it looks for more, in nanoseconds: packets then come and go
    /// in small batches instead of waking it one by one. A packet is late by this much at most, once when it is read
    /// and once when it is handed over.
    private static let pause: Int64 = 80_000

    init(
        _ a: TunDevice, _ b: TunDevice, forth: Direction.Properties, back: Direction.Properties, seed: UInt64
    ) {
        self.a = a
        self.b = b
        self.forth = Direction(forth, seed: seed &* 2)
        self.back = Direction(back, seed: seed &* 2 &+ 1)
    }

    deinit { self.buffer.deallocate() }

    var counters: JSON { .object(["a_to_b": self.forth.counters.json, "b_to_a": self.back.counters.json]) }

    /// Runs until there is something to read from `stop`.
    mutating func run(until stop: Int32) {
        wakePrecisely()
        runFirst()
        var descriptors = [
            pollfd(fd: self.a.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: self.b.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let now = monotonicNow()
            let (a, b) = (self.a, self.b)
            self.forth.deliverDue(at: now) { Self.write($0, to: b) }
            self.back.deliverDue(at: now) { Self.write($0, to: a) }
            let next = min(self.forth.nextTime ?? .max, self.back.nextTime ?? .max)
            let timeout = next == .max ? -1 : max(0, next - monotonicNow())
            let ready = CLinuxBench_poll(&descriptors, 3, timeout)
            guard ready >= 0 || errno == EINTR else { fail("cannot wait for packets: \(systemError())") }
            if descriptors[2].revents != 0 { return }
            if ready > 0 {
                if descriptors[0].revents != 0 { Self.drain(a, into: &self.forth, self.buffer) }
                if descriptors[1].revents != 0 { Self.drain(b, into: &self.back, self.buffer) }
            }
            sleep(until: monotonicNow() + Self.pause)
        }
    }

    /// Reads what there is; not without end, so that the other direction has its turn.
    private static func drain(
        _ device: TunDevice, into direction: inout Direction, _ buffer: UnsafeMutableRawBufferPointer
    ) {
        for _ in 0..<256 {
            let length = read(device.descriptor, buffer.baseAddress!, buffer.count)
            guard length > 0 else { return }
            direction.receive(UnsafeRawBufferPointer(rebasing: buffer[..<length]), at: monotonicNow())
        }
    }

    private static func write(_ packet: UnsafeRawBufferPointer, to device: TunDevice) -> Bool {
        Glibc.write(device.descriptor, packet.baseAddress!, packet.count) == packet.count
    }
}
