import NIOCore

@testable import HostNetwork

extension FuzzTarget {
    /// Decoders that there are on this system only.
    static let ofSystem = [FuzzTarget(name: "netlink", run: fuzzNetlink)]
}

/// What the kernel says about addresses and routes. The first byte is the protocol's.
func fuzzNetlink(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = ByteBuffer(bytes: bytes)
    var messages: [NetlinkMessage] = []
    var size = 0
    while let message = NetlinkMessage(readingFrom: &rest) {
        size += 16 + message.payload.readableBytes
        messages.append(message)
        var payload = message.payload
        var attributes = 0
        while let attribute = payload.readNetlinkAttribute() { attributes += 4 + attribute.value.readableBytes }
        try promise(attributes <= message.payload.readableBytes, "more attributes than there are bytes")
        if let route = NetworkRoute(message) {
            try promise((route.gateway?.count ?? 0) <= message.payload.readableBytes, "a router out of nowhere")
        }
        var again = NetlinkMessage.request(message.type, message.payload)
        let read = NetlinkMessage(readingFrom: &again)
        try promise(
            read?.type == message.type && read?.payload == message.payload, "a message is another when written again")
    }
    try promise(size <= bytes.count, "more messages than there are bytes")
    _ = TentativeAddresses(messages)
}
