import BenchSupport
import CLinuxBench
import Glibc

/// A link emulator in user space: two TUN devices, each in a network namespace, and between them a link with a rate, a
/// delay, a queue and random loss in each direction.
@main
struct RtunLink {
    private static let usage = """
        usage: rtun-link --a NAMESPACE --b NAMESPACE [options]

        Joins two network namespaces (names of ip-netns(8), or paths) by an emulated link until SIGTERM or SIGINT, then
        prints what it has carried as JSON. Needs root.

          --a-address PREFIX   address of the device in --a (default 198.51.100.1/30)
          --b-address PREFIX   address of the device in --b (default 198.51.100.2/30)
          --name NAME          name of both devices (default link0)
          --rate MBITS         Mbit/s, headers of IP included (default 100)
          --delay MS           one way, in milliseconds (default 0)
          --queue BYTES        what waits at most, beyond that the newest packet is dropped (default: what the link
                               holds in a round trip, at least 65536)
          --loss PERCENT       packets lost on the wire at random (default 0)
          --seed NUMBER        of the random numbers (default 1)

        These are for both directions; --rate-back, --delay-back, --queue-back and --loss-back set that from b to a.
        """

    static func main() {
        let arguments = Arguments(
            CommandLine.arguments.dropFirst(),
            options: [
                "a", "b", "a-address", "b-address", "name", "rate", "delay", "queue", "loss", "seed", "rate-back",
                "delay-back", "queue-back", "loss-back",
            ], flags: ["help"])
        if arguments.has("help") {
            report(Self.usage)
            return
        }
        if let word = arguments.words.first { fail("unexpected \"\(word)\"; see --help", code: 64) }
        let (a, b) = (arguments.required("a"), arguments.required("b"))
        let name = arguments.text("name") ?? "link0"
        guard (1..<Int(IFNAMSIZ)).contains(name.utf8.count) else {
            fail("--name takes up to \(IFNAMSIZ - 1) characters, not \"\(name)\"", code: 64)
        }
        let (forth, back) = Self.properties(arguments)
        let seed = UInt64(arguments.integer("seed", in: 0...Int.max, default: 1))

        // Signals are read like packets, so that nothing is interrupted.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        sigprocmask(SIG_BLOCK, &signals, nil)
        let stop = signalfd(-1, &signals, Int32(SFD_CLOEXEC))
        guard stop >= 0 else { fail("cannot wait for signals: \(systemError())") }

        let deviceA = TunDevice(name: name, namespace: a, prefix: arguments.text("a-address") ?? "198.51.100.1/30")
        let deviceB = TunDevice(name: name, namespace: b, prefix: arguments.text("b-address") ?? "198.51.100.2/30")
        var link = Link(deviceA, deviceB, forth: forth, back: back, seed: seed)
        report("rtun-link ready")
        link.run(until: stop)
        report(link.counters)
    }

    private static func properties(_ arguments: Arguments) -> (forth: Direction.Properties, back: Direction.Properties)
    {
        func number(_ name: String, _ range: ClosedRange<Double>, _ fallback: Double) -> (Double, Double) {
            let forth = arguments.number(name, in: range, default: fallback)
            return (forth, arguments.number("\(name)-back", in: range, default: forth))
        }
        let rates = number("rate", 0.001...100_000, 100)
        let delays = number("delay", 0...60_000, 0)
        let losses = number("loss", 0...100, 0)
        // Bandwidth times the time there and back.
        func roundTrip(_ rate: Double) -> Int { max(65_536, Int(rate * 1e6 / 8 * (delays.0 + delays.1) / 1e3)) }
        let sizes = 1500...1 << 30
        let queue = arguments.integer("queue", in: sizes, default: roundTrip(rates.0))
        let queueBack = arguments.integer(
            "queue-back", in: sizes, default: arguments.text("queue") == nil ? roundTrip(rates.1) : queue)
        return (
            Direction.Properties(
                rate: rates.0 * 1e6, delay: Int64(delays.0 * 1e6), queue: queue, loss: losses.0 / 100),
            Direction.Properties(
                rate: rates.1 * 1e6, delay: Int64(delays.1 * 1e6), queue: queueBack, loss: losses.1 / 100)
        )
    }
}
