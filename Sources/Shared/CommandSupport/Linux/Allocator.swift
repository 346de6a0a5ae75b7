import LibC

/// Tuning of glibc's malloc for programs that are idle most of the time.
package enum Allocator {
    /// `M_ARENA_MAX`, `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of malloc.h.
    private static let arenaMax: Int32 = -8
    private static let trimThreshold: Int32 = -1
    private static let mmapThreshold: Int32 = -3

    /// Few arenas, and memory handed back to the system early. Call it before the first thread starts.
    package static func preferSmallFootprint() {
        typealias Mallopt = @convention(c) (Int32, Int32) -> Int32
        guard let symbol = Self.symbol("mallopt") else { return }
        let mallopt = unsafeBitCast(symbol, to: Mallopt.self)
        _ = mallopt(Self.arenaMax, 2)
        // Setting either threshold also stops glibc from raising both behind our back after the first large free.
        _ = mallopt(Self.trimThreshold, 256 * 1024)
        _ = mallopt(Self.mmapThreshold, 512 * 1024)
    }

    /// Gives free memory back to the system; worth it after something large and rare, such as key derivation.
    package static func releaseFreeMemory() {
        typealias MallocTrim = @convention(c) (Int) -> Int32
        guard let symbol = Self.symbol("malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: MallocTrim.self)(0)
    }

    /// glibc's module for Swift leaves out malloc.h, so the functions are found by name. Where there are none (another
    /// libc), nothing is tuned.
    private static func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        dlsym(nil, name)
    }
}
