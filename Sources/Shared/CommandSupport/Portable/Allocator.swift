/// The C library's allocator: it is left as it is.
package enum Allocator {
    /// Tunes glibc, elsewhere.
    package static func preferSmallFootprint() {}

    /// Has glibc give free memory back, elsewhere.
    package static func releaseFreeMemory() {}
}
