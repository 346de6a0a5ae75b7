import PeerPath
import TLS
import UDPRelay

extension DatagramChannel {
    /// The largest payload that any path carries, in bytes: the largest datagram, less the record's overhead with the
    /// preferred cipher suite, less the frame's header. 1409.
    package static let largestPayload =
        SelectedPath.largestDatagram - DTLSConnection.preferredRecordOverhead - RelayFrame.headerLength
}
