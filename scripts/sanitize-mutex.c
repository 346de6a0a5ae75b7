// Lets ThreadSanitizer see the contended half of Swift's Mutex, which is in a library that is not instrumented: without it,
// what a mutex guards seems to be shared unguarded whenever a thread has waited for it. Preloaded by sanitize.sh.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

// Weak: what starts the tests is preloaded as well, and has no sanitizer.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

typedef __attribute__((swiftcall)) void lock_slow(uint32_t, __attribute__((swift_context)) void *);
typedef __attribute__((swiftcall)) void unlock_slow(__attribute__((swift_context)) void *);

// Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> ()
__attribute__((swiftcall)) void locked(uint32_t value, __attribute__((swift_context)) void *handle)
    __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
__attribute__((swiftcall)) void locked(uint32_t value, __attribute__((swift_context)) void *handle) {
    lock_slow *original = (lock_slow *)dlsym(RTLD_NEXT, "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
    original(value, handle);
    if (__tsan_acquire) __tsan_acquire(handle);
}

// Synchronization._MutexHandle._unlockSlow() -> ()
__attribute__((swiftcall)) void unlocked(__attribute__((swift_context)) void *handle)
    __asm__("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
__attribute__((swiftcall)) void unlocked(__attribute__((swift_context)) void *handle) {
    unlock_slow *original = (unlock_slow *)dlsym(RTLD_NEXT, "$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
    if (__tsan_release) __tsan_release(handle);
    original(handle);
}
