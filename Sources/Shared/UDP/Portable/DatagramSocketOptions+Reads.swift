import NIOCore
import NIOPosix

extension DatagramSocketOptions {
    /// How NIO reads: one datagram with each system call, as many in a turn as are read at once elsewhere.
    func applyReads(to bootstrap: DatagramBootstrap) -> DatagramBootstrap {
        bootstrap
            .channelOption(
                ChannelOptions.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: self.largestDatagram)
            )
            .channelOption(ChannelOptions.maxMessagesPerRead, value: UInt(self.messagesPerRead))
    }
}
