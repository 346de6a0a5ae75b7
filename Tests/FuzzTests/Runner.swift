#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The target that `RTUN_FUZZ_TARGET` names.
private let chosenTarget: FuzzTarget = {
    let name = getenv("RTUN_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        print("RTUN_FUZZ_TARGET must be one of:", FuzzTarget.all.map(\.name).joined(separator: " "))
        exit(64)
    }
    return target
}()

/// Called by libFuzzer, whose `main` is that of this program.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try chosenTarget.run(UnsafeRawBufferPointer(start: bytes, count: count))
    } catch {
        fatalError("broken promise: \(error)")
    }
    return 0
}
