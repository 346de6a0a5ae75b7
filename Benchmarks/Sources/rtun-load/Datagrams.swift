import BenchSupport
import CLinuxBench
import Glibc

/// A UDP socket with large buffers.
enum UDPSocket {
    static func open() -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { fail("cannot make a socket: \(systemError())") }
        // Beyond what net.core.rmem_max allows where we may; what is lost is to be lost by others.
        for (forced, plain) in [(SO_RCVBUFFORCE, SO_RCVBUF), (SO_SNDBUFFORCE, SO_SNDBUF)] {
            var size: Int32 = 16 << 20
            if setsockopt(descriptor, SOL_SOCKET, forced, &size, 4) != 0 {
                Socket.option(descriptor, SOL_SOCKET, plain, size)
            }
        }
        return descriptor
    }
}

/// Room for many datagrams that one system call sends or receives.
final class Batch {
    let count: Int
    let messages: UnsafeMutablePointer<CLinuxBench_message>
    private let vectors: UnsafeMutablePointer<iovec>
    private let addresses: UnsafeMutablePointer<sockaddr_in>
    private let bytes: UnsafeMutableRawBufferPointer

    /// - Parameter addressed: whether the messages carry addresses, as those of sockets that are not connected do.
    init(_ count: Int, addressed: Bool) {
        self.count = count
        self.messages = .allocate(capacity: count)
        self.vectors = .allocate(capacity: count)
        self.addresses = .allocate(capacity: count)
        self.bytes = .allocate(byteCount: count * Wire.Datagram.largest, alignment: 64)
        self.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        self.addresses.initialize(repeating: sockaddr_in(), count: count)
        for index in 0..<count {
            let start = self.bytes.baseAddress! + index * Wire.Datagram.largest
            (self.vectors + index).initialize(to: iovec(iov_base: start, iov_len: Wire.Datagram.largest))
            var header = msghdr()
            header.msg_iov = self.vectors + index
            header.msg_iovlen = 1
            if addressed {
                header.msg_name = UnsafeMutableRawPointer(self.addresses + index)
                header.msg_namelen = socklen_t(MemoryLayout<sockaddr_in>.size)
            }
            (self.messages + index).initialize(to: CLinuxBench_message(header: header, length: 0))
        }
    }

    deinit {
        self.messages.deallocate()
        self.vectors.deallocate()
        self.addresses.deallocate()
        self.bytes.deallocate()
    }

    func payload(_ index: Int) -> UnsafeMutableRawPointer { self.vectors[index].iov_base }

    func setLength(_ index: Int, _ length: Int) { self.vectors[index].iov_len = length }

    /// How many came; each then has its `messages[…].length`.
    func receive(_ descriptor: Int32, flags: Int32 = Int32(MSG_WAITFORONE)) -> Int {
        Int(CLinuxBench_recvmmsg(descriptor, self.messages, UInt32(self.count), flags))
    }

    /// How many of the first `count` were sent.
    func send(_ descriptor: Int32, _ count: Int) -> Int {
        Int(CLinuxBench_sendmmsg(descriptor, self.messages, UInt32(count), 0))
    }
}

/// The header that `Wire.Datagram` describes.
struct DatagramHeader {
    var kind: UInt8
    var run: UInt64
    var sequence: UInt64 = 0
    var time: Int64 = 0

    /// Nil for what is none of ours.
    init?(_ bytes: UnsafeMutableRawPointer, _ length: Int) {
        guard length >= Wire.Datagram.headerSize, bytes.load(as: UInt32.self) == Wire.Datagram.magic else { return nil }
        self.kind = bytes.load(fromByteOffset: 4, as: UInt8.self)
        self.run = bytes.load(fromByteOffset: 8, as: UInt64.self)
        self.sequence = bytes.load(fromByteOffset: 16, as: UInt64.self)
        self.time = bytes.load(fromByteOffset: 24, as: Int64.self)
    }

    init(kind: UInt8, run: UInt64) {
        self.kind = kind
        self.run = run
    }

    func write(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBytes(of: Wire.Datagram.magic, as: UInt32.self)
        bytes.storeBytes(of: UInt32(self.kind), toByteOffset: 4, as: UInt32.self)
        bytes.storeBytes(of: self.run, toByteOffset: 8, as: UInt64.self)
        bytes.storeBytes(of: self.sequence, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: self.time, toByteOffset: 24, as: Int64.self)
    }
}

/// The target of the measurements over UDP: counts the datagrams of each run, or sends them back, and answers the
/// question what has come.
struct DatagramSink {
    let descriptor: Int32
    let echoes: Bool

    init(on endpoint: Endpoint, echoes: Bool) {
        self.descriptor = UDPSocket.open()
        self.echoes = echoes
        let bound = endpoint.withSocketAddress { bind(descriptor, $0, $1) }
        guard bound == 0 else { fail("cannot listen on \(endpoint.host):\(endpoint.port): \(systemError())") }
    }

    func run() -> Never {
        let batch = Batch(64, addressed: true)
        let answer = Batch(1, addressed: true)
        var run: UInt64 = 0
        var times: [Int64] = []
        var last: Int64 = 0
        while true {
            // The kernel has written over these.
            for index in 0..<batch.count {
                batch.messages[index].header.msg_namelen = socklen_t(MemoryLayout<sockaddr_in>.size)
                batch.setLength(index, Wire.Datagram.largest)
            }
            let count = batch.receive(self.descriptor)
            guard count > 0 else { continue }
            let now = monotonicNow()
            var echoed = 0
            for index in 0..<count {
                let length = Int(batch.messages[index].length)
                // If it goes back, then as long as it came.
                batch.setLength(index, length)
                guard let header = DatagramHeader(batch.payload(index), length) else { continue }
                switch header.kind {
                case Wire.Datagram.question:
                    let results = header.run == run ? times : []
                    self.answer(header, with: results, last, to: batch.messages[index].header, answer)
                case Wire.Datagram.data where self.echoes:
                    echoed = index + 1
                case Wire.Datagram.data:
                    if header.run != run {
                        run = header.run
                        times.removeAll(keepingCapacity: true)
                    }
                    times.append(now - header.time)
                    last = now
                default: break
                }
            }
            var sent = 0
            while sent < echoed {
                let result = CLinuxBench_sendmmsg(
                    self.descriptor, batch.messages + sent, UInt32(echoed - sent), 0)
                // What cannot be sent is lost, and the others go on.
                sent += max(1, Int(result))
            }
        }
    }

    private func answer(
        _ question: DatagramHeader, with times: [Int64], _ last: Int64, to header: msghdr, _ answer: Batch
    ) {
        let sorted = Percentiles(times)
        let bytes = answer.payload(0)
        DatagramHeader(kind: Wire.Datagram.result, run: question.run).write(to: bytes)
        let numbers = [Int64(sorted.count)] + [0.5, 0.99, 1].map { sorted.at($0) ?? 0 } + [last]
        for (index, number) in numbers.enumerated() {
            bytes.storeBytes(of: number, toByteOffset: 16 + 8 * index, as: Int64.self)
        }
        answer.setLength(0, Wire.Datagram.resultSize)
        answer.messages[0].header.msg_name = header.msg_name
        answer.messages[0].header.msg_namelen = header.msg_namelen
        _ = answer.send(self.descriptor, 1)
    }
}
