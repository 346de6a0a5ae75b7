import BenchSupport
import Glibc

/// A thread for blocking calls, which Swift's own must not be used for.
struct Thread: Sendable {
    private let handle: pthread_t

    init(_ body: @escaping @Sendable () -> Void) {
        var handle = pthread_t()
        let box = Unmanaged.passRetained(Box(body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        // There can be hundreds.
        pthread_attr_setstacksize(&attributes, 256 << 10)
        let result = pthread_create(
            &handle, &attributes,
            { argument in
                Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        guard result == 0 else { fail("cannot start a thread: \(String(cString: strerror(result)))") }
        self.handle = handle
    }

    /// Waits for its end. Either this or `detach()` has to be called, once.
    func join() { pthread_join(self.handle, nil) }

    /// Lets it end by itself.
    func detach() { pthread_detach(self.handle) }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

/// Bytes that are zero, to send.
struct Zeros: @unchecked Sendable {
    // Never written to, and never freed.
    let bytes: UnsafeRawBufferPointer

    init(_ count: Int) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        self.bytes = UnsafeRawBufferPointer(buffer)
    }
}
