import NIOCore
package import NIOPosix

/// What a UDP socket is for, in terms of its options.
package struct DatagramSocketOptions: Sendable {
    /// Bytes asked for each kernel buffer; nil leaves the system's default. Without privileges the kernel gives at most
    /// `net.core.rmem_max` and `wmem_max`, without an error.
    package var kernelBufferBytes: Int?
    /// Whether datagrams may arrive several at once, as the metadata's `segmentSize` says (UDP GRO).
    package var receivesSegments: Bool
    /// Datagrams (or GRO batches) read with one system call.
    package var messagesPerRead: Int
    /// Whether the owner finds out the path's MTU by itself. Otherwise the kernel does, and fragments where it has to.
    package var findsPathMTU = false
    /// Whether each datagram tells which of this machine's addresses it was sent to: an answer has to come from there, and
    /// a socket on all addresses cannot know otherwise.
    package var tellsLocalAddress = false

    /// For the path between peers: bulk data, of which a system call takes what it can get.
    package static let path = DatagramSocketOptions(
        kernelBufferBytes: 4 << 20, receivesSegments: SegmentationOffload.isSupportedForReceiving, messagesPerRead: 16,
        findsPathMTU: true)
    /// For the server's end of control connections: many peers, and what they send each other through it.
    package static let control = DatagramSocketOptions(
        kernelBufferBytes: 2 << 20, receivesSegments: SegmentationOffload.isSupportedForReceiving, messagesPerRead: 8)
    /// For the local port of a relay rule: all senders of the rule meet here, in bursts.
    package static let listener = DatagramSocketOptions(
        kernelBufferBytes: 8 << 20, receivesSegments: false, messagesPerRead: 64)
    /// For a UDP association of a SOCKS client, towards the client: datagrams of up to 4 KiB behind a head.
    package static let associationClient = DatagramSocketOptions(
        kernelBufferBytes: 1 << 20, receivesSegments: false, messagesPerRead: 16, largestDatagram: 4608)
    /// For the same towards targets: bursts of one sender come at once.
    package static let associationTarget = DatagramSocketOptions(
        kernelBufferBytes: 1 << 20, receivesSegments: SegmentationOffload.isSupportedForReceiving, messagesPerRead: 4,
        largestDatagram: 4608)
    /// For a server of short questions.
    package static let questions = DatagramSocketOptions(
        kernelBufferBytes: nil, receivesSegments: false, messagesPerRead: 16)
    /// Room for one datagram, in bytes; what is longer is cut to this, where datagrams do not arrive several at once.
    var largestDatagram: Int
    /// What a GRO batch is limited to.
    static let largestBatch = 65_535
    /// Room for one datagram on a path with an MTU of 1500, and some more.
    package static let ordinaryDatagram = 2048

    package init(
        kernelBufferBytes: Int?, receivesSegments: Bool, messagesPerRead: Int, findsPathMTU: Bool = false,
        largestDatagram: Int = DatagramSocketOptions.ordinaryDatagram
    ) {
        self.largestDatagram = largestDatagram
        self.kernelBufferBytes = kernelBufferBytes
        self.receivesSegments = receivesSegments
        self.messagesPerRead = messagesPerRead
        self.findsPathMTU = findsPathMTU
    }

    /// Adds the options that NIO knows to a socket that is to be bound or connected.
    package func apply(to bootstrap: DatagramBootstrap) -> DatagramBootstrap {
        var bootstrap = self.applyReads(to: bootstrap)
            // One GSO batch must not make the channel unwritable.
            .channelOption(ChannelOptions.writeBufferWaterMark, value: .init(low: 256 << 10, high: 1 << 20))
        if let bytes = self.kernelBufferBytes.map(DatagramKernel.acceptableBufferSize) {
            bootstrap =
                bootstrap
                .channelOption(ChannelOptions.socketOption(.so_rcvbuf), value: .init(bytes))
                .channelOption(ChannelOptions.socketOption(.so_sndbuf), value: .init(bytes))
        }
        if self.tellsLocalAddress {
            bootstrap = bootstrap.channelOption(ChannelOptions.receivePacketInfo, value: true)
        }
        return bootstrap
    }
}
