internal import COpenSSL
import Crypto

/// What an `SSL` object reads from and writes to in the place of a socket. Subclasses say how.
class OpenSSLTransport {
    /// Moves received bytes into `buffer`. Returns how many, or nil when there is nothing for now.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        nil
    }

    /// Takes all of `bytes` to be sent.
    func write(_ bytes: UnsafeRawBufferPointer) {}

    /// Answers a `BIO_ctrl` command other than flush; 0 means "not known".
    func control(_ command: Int32, argument: Int, pointer: UnsafeMutableRawPointer?) -> Int {
        0
    }

    /// Makes a `BIO` over this object, which the caller owns.
    ///
    /// The `BIO` borrows this object: ``OpenSSLConnection`` frees the one before it lets go of the other.
    final func makeBIO() throws(TLSError) -> OpaquePointer {
        guard let method = Self.method, let bio = BIO_new(method) else {
            throw .operationFailed("make a BIO", OpenSSLErrors.drain())
        }
        BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        BIO_set_init(bio, 1)
        return bio
    }

    /// The callbacks, shared by all transports. Written once before the first use and never changed: safe to share.
    private nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rtun transport") else {
            return nil
        }
        BIO_meth_set_read(method) { bio, buffer, count in
            guard let bio, let buffer, count > 0, let transport = OpenSSLTransport.of(bio) else { return -1 }
            COpenSSL_BIO_clear_retry_flags(bio)
            guard let moved = transport.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: Int(count)))
            else {
                COpenSSL_BIO_set_retry_read(bio)
                return -1
            }
            return Int32(moved)
        }
        BIO_meth_set_write(method) { bio, bytes, count in
            guard let bio, let bytes, count > 0, let transport = OpenSSLTransport.of(bio) else { return -1 }
            COpenSSL_BIO_clear_retry_flags(bio)
            transport.write(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return count
        }
        BIO_meth_set_ctrl(method) { bio, command, argument, pointer in
            // OpenSSL flushes after each flight and takes 0 for a failure.
            if command == BIO_CTRL_FLUSH { return 1 }
            guard let bio, let transport = OpenSSLTransport.of(bio) else { return 0 }
            return transport.control(command, argument: argument, pointer: pointer)
        }
        return method
    }()

    private static func of(_ bio: OpaquePointer) -> OpenSSLTransport? {
        guard let data = BIO_get_data(bio) else { return nil }
        return Unmanaged<OpenSSLTransport>.fromOpaque(data).takeUnretainedValue()
    }
}
