import NIOCore
import NIOPosix

extension DatagramSocketOptions {
    /// How NIO reads: several messages with one system call (recvmmsg(2)), each of one datagram or of several.
    func applyReads(to bootstrap: DatagramBootstrap) -> DatagramBootstrap {
        let slot = self.receivesSegments ? Self.largestBatch : self.largestDatagram
        // One buffer is shared by all messages of a read, each getting its equal part.
        let allocator = FixedSizeRecvByteBufferAllocator(capacity: slot * self.messagesPerRead)
        let bootstrap =
            bootstrap
            .channelOption(ChannelOptions.recvAllocator, value: allocator)
            .channelOption(ChannelOptions.datagramVectorReadMessageCount, value: self.messagesPerRead)
        guard self.receivesSegments else { return bootstrap }
        return
            bootstrap
            .channelOption(ChannelOptions.datagramReceiveOffload, value: true)
            .channelOption(ChannelOptions.datagramReceiveSegmentSize, value: true)
    }
}
