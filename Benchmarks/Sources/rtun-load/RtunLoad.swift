import BenchSupport
import CLinuxBench
import Glibc

/// The load generator and its counterparts: measures what carries TCP connections or datagrams, from outside.
@main
struct RtunLoad {
    private static let usage = """
        usage: rtun-load COMMAND [options] HOST:PORT

        Counterparts, which run until they are ended and print "rtun-load ready PORT" first (port 0 takes a free one):

          sink HOST:PORT        for bulk, ping and requests
          udp-sink HOST:PORT    for udp-send and udp-rate: counts
          udp-echo HOST:PORT    the same, and sends everything back

        Measurements, which print one JSON object. HOST:PORT is the counterpart's, or what leads to it:

          bulk       --direction up|down (down) --streams N (1) --seconds S (5) --warmup S (1) --interval S (0.5)
                     --ping MS: measure round trips beside it, on one more connection
          ping       --interval MS (20) --seconds S (5)
          requests   --concurrency N (1) --seconds S (5) --warmup S (0.5): a connection, a request of 128 bytes and a
                     response of 1024 bytes, again and again
          udp-send   --rate PER_SECOND|max (10000) --size BYTES (64) --flows N (1) --seconds S (5) --echo
          udp-rate   --size BYTES (64) --flows N (1) --step S (1) --limit PER_SECOND (2000000) --echo: the highest rate
                     with less than 0.1 % loss

        The first three take --via direct|socks5://HOST:PORT (direct) and, as the sink does, --congestion NAME, the
        algorithm of TCP_CONGESTION. The last two want --echo where the counterpart is udp-echo: round trips are
        measured then, else the way there.
        """

    static func main() {
        signal(SIGPIPE, SIG_IGN)
        let command = CommandLine.arguments.dropFirst().first ?? "--help"
        let rest = CommandLine.arguments.dropFirst(2)
        switch command {
        case "sink":
            let arguments = Arguments(rest, options: ["congestion"])
            let sink = Sink(on: Self.endpoint(arguments), congestion: arguments.text("congestion"))
            report("rtun-load ready \(sink.port)")
            sink.run()
        case "bulk":
            let arguments = Self.tcp(rest, ["direction", "streams", "seconds", "warmup", "interval", "ping"])
            guard let direction = Bulk.Direction(rawValue: arguments.text("direction") ?? "down") else {
                fail("--direction is up or down, not \"\(arguments.text("direction")!)\"", code: 64)
            }
            let bulk = Bulk(
                way: Self.way(arguments), direction: direction,
                streams: arguments.integer("streams", in: 1...1000, default: 1), seconds: Self.seconds(arguments),
                warmup: arguments.number("warmup", in: 0...3600, default: 1),
                interval: arguments.number("interval", in: 0.01...3600, default: 0.5),
                ping: arguments.text("ping") == nil ? nil : arguments.number("ping", in: 0.1...60_000))
            report(bulk.run())
        case "ping":
            let arguments = Self.tcp(rest, ["interval", "seconds"])
            report(Self.ping(arguments))
        case "requests":
            let arguments = Self.tcp(rest, ["concurrency", "seconds", "warmup"])
            let requests = Requests(
                way: Self.way(arguments), concurrency: arguments.integer("concurrency", in: 1...1000, default: 1),
                seconds: Self.seconds(arguments), warmup: arguments.number("warmup", in: 0...3600, default: 0.5))
            report(requests.run())
        case "udp-sink", "udp-echo":
            let sink = DatagramSink(on: Self.endpoint(Arguments(rest, options: [])), echoes: command == "udp-echo")
            report("rtun-load ready \(Socket(descriptor: sink.descriptor).port)")
            sink.run()
        case "udp-send":
            let arguments = Arguments(rest, options: ["rate", "size", "flows", "seconds"], flags: ["echo"])
            let rate =
                arguments.text("rate") == "max" ? nil : arguments.number("rate", in: 1...1e8, default: 10_000)
            let load = Self.load(arguments)
            report(Self.outcome(load.run(rate: rate, seconds: Self.seconds(arguments))))
        case "udp-rate":
            let arguments = Arguments(rest, options: ["size", "flows", "step", "limit"], flags: ["echo"])
            let step = arguments.number("step", in: 0.05...60, default: 1)
            let limit = arguments.number("limit", in: 1...1e8, default: 2_000_000)
            report(RateSearch(load: Self.load(arguments), step: step, limit: limit).run())
        case "--help", "help": report(Self.usage)
        default: fail("unknown command \"\(command)\"; see --help", code: 64)
        }
    }

    private static func endpoint(_ arguments: Arguments) -> Endpoint {
        guard arguments.words.count == 1 else { fail("one HOST:PORT is wanted; see --help", code: 64) }
        return Endpoint(arguments.words[0])
    }

    private static func tcp(_ rest: some Sequence<String>, _ options: Set<String>) -> Arguments {
        Arguments(rest, options: options.union(["via", "congestion"]))
    }

    private static func way(_ arguments: Arguments) -> Way {
        Way(
            via: arguments.text("via") ?? "direct", target: Self.endpoint(arguments),
            congestion: arguments.text("congestion"))
    }

    private static func seconds(_ arguments: Arguments) -> Double {
        arguments.number("seconds", in: 0.05...3600, default: 5)
    }

    private static func ping(_ arguments: Arguments) -> JSON {
        let interval = arguments.number("interval", in: 0.1...60_000, default: 20)
        do {
            let pinger = Pinger(try Self.way(arguments).connect(for: Wire.echo), interval: interval)
            pinger.start(recordingFrom: monotonicNow())
            sleep(until: monotonicNow() + Int64(Self.seconds(arguments) * 1e9))
            return pinger.finish()
        } catch {
            fail("\(error)", code: 1)
        }
    }

    private static func load(_ arguments: Arguments) -> DatagramLoad {
        let load = DatagramLoad(
            to: Self.endpoint(arguments), flows: arguments.integer("flows", in: 1...10_000, default: 1),
            size: arguments.integer(
                "size", in: Wire.Datagram.headerSize...Wire.Datagram.largest, default: 64),
            echoes: arguments.has("echo"))
        load.open()
        return load
    }

    private static func outcome(_ outcome: DatagramLoad.Outcome) -> JSON {
        .object([
            "sent": .integer(outcome.sent), "received": .integer(outcome.received),
            "sent_per_second": .number(outcome.sendingRate), "loss_percent": .number(outcome.loss * 100),
            "p50_us": .number(Double(outcome.p50) / 1e3), "p99_us": .number(Double(outcome.p99) / 1e3),
            "max_us": .number(Double(outcome.max) / 1e3),
        ])
    }
}
