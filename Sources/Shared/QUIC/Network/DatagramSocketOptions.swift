package import NIOCore
package import NIOPosix

/// Socket options that make a UDP socket carry much QUIC traffic: large kernel buffers, and GRO where the kernel has
/// it.
package struct DatagramSocketOptions: Sendable {
    /// Bytes asked for each kernel buffer; the kernel gives at most `net.core.rmem_max` and `wmem_max`, without an
    /// error.
    package var kernelBufferBytes: Int
    /// Whether datagrams may arrive several at once, as the metadata's `segmentSize` says.
    package var receivesSegments: Bool
    /// Datagrams (or GRO batches) read with one system call.
    package var messagesPerRead: Int

    /// For a tunnel between peers: bulk data.
    package static let tunnel = DatagramSocketOptions(
        kernelBufferBytes: 4 << 20, receivesSegments: System.supportsUDPReceiveOffload, messagesPerRead: 4)
    /// For control connections: many peers, little data each.
    package static let control = DatagramSocketOptions(
        kernelBufferBytes: 1 << 20, receivesSegments: false, messagesPerRead: 16)

    /// Largest UDP payload, and what a GRO batch is limited to.
    private static let largestDatagram = 65_535
    /// Room for one datagram on a path with an MTU of 1500, and some more.
    private static let ordinaryDatagram = 2048

    package init(kernelBufferBytes: Int, receivesSegments: Bool, messagesPerRead: Int) {
        self.kernelBufferBytes = kernelBufferBytes
        self.receivesSegments = receivesSegments
        self.messagesPerRead = messagesPerRead
    }

    /// Adds the options to a socket that is to be bound or connected.
    package func apply(to bootstrap: DatagramBootstrap) -> DatagramBootstrap {
        let slot = self.receivesSegments ? Self.largestDatagram : Self.ordinaryDatagram
        // One buffer is shared by all messages of a read, each getting its equal part.
        let allocator = FixedSizeRecvByteBufferAllocator(capacity: slot * self.messagesPerRead)
        let sized =
            bootstrap
            .channelOption(ChannelOptions.socketOption(.so_rcvbuf), value: self.kernelBufferBytes)
            .channelOption(ChannelOptions.socketOption(.so_sndbuf), value: self.kernelBufferBytes)
            // One GSO batch must not make the channel unwritable.
            .channelOption(ChannelOptions.writeBufferWaterMark, value: .init(low: 256 << 10, high: 1 << 20))
            .channelOption(ChannelOptions.recvAllocator, value: allocator)
            .channelOption(ChannelOptions.datagramVectorReadMessageCount, value: self.messagesPerRead)
        guard self.receivesSegments else { return sized }
        return
            sized
            .channelOption(ChannelOptions.datagramReceiveOffload, value: true)
            .channelOption(ChannelOptions.datagramReceiveSegmentSize, value: true)
    }
}

extension QUICTransmit {
    /// As a message for a datagram channel; in several pieces when the kernel cannot split it (no UDP GSO).
    package func forEachEnvelope(to address: SocketAddress, _ body: (AddressedEnvelope<ByteBuffer>) -> Void) {
        guard let segmentSize = self.segmentSize else {
            return body(AddressedEnvelope(remoteAddress: address, data: self.payload))
        }
        if System.supportsUDPSegmentationOffload {
            let metadata = AddressedEnvelope<ByteBuffer>.Metadata(
                ecnState: .transportNotCapable, packetInfo: nil, segmentSize: segmentSize)
            return body(AddressedEnvelope(remoteAddress: address, data: self.payload, metadata: metadata))
        }
        var rest = self.payload
        while let segment = rest.readSlice(length: min(segmentSize, rest.readableBytes)), segment.readableBytes > 0 {
            body(AddressedEnvelope(remoteAddress: address, data: segment))
        }
    }
}
