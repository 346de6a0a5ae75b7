/// What client and sink say to each other over TCP. The first byte of a connection tells what it is for:
///
///     'D'  the sink sends zeros as fast as it can
///     'U'  the sink takes what comes, and tells how much that was: reports of 16 bytes, its clock and the count so far
///     'E'  the sink sends back what comes
///     'R'  requests of a fixed size, each answered by a response of a fixed size
///
/// until the client closes. Numbers are 64 bits, of the machine's byte order: both ends are on one machine.
enum Wire {
    static let download = UInt8(ascii: "D")
    static let upload = UInt8(ascii: "U")
    static let echo = UInt8(ascii: "E")
    static let requests = UInt8(ascii: "R")

    static let reportSize = 16
    /// How often the sink reports, in nanoseconds.
    static let reportInterval: Int64 = 20_000_000
    static let pingSize = 64
    static let requestSize = 128
    static let responseSize = 1024
    /// What is given to or asked from a socket at once.
    static let bufferSize = 256 << 10

    /// A datagram of the measurements over UDP, at least 32 bytes:
    ///
    ///     | magic, 4 | kind, 1 | 0, 3 | run, 8 | sequence number, 8 | time of sending, 8 | padding |
    ///
    /// A question after a run is answered with its results in place of the numbers: datagrams received, 8, then
    /// the median, the 99th percentile and the maximum of the time on the way in nanoseconds, and when the last one came,
    /// 8 each.
    enum Datagram {
        static let magic: UInt32 = 0x7274_756E
        static let data = UInt8(ascii: "d")
        static let question = UInt8(ascii: "q")
        static let result = UInt8(ascii: "r")
        static let headerSize = 32
        static let resultSize = 56
        static let largest = 2048
    }
}
