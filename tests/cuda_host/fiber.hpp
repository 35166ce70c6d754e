// Fibers: a stack each, and a switch between them that saves what the calling convention says must survive.
#pragma once

#include <cstdlib>
#include <memory>

#include "watch.hpp"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace cuda_host {

constexpr std::size_t STACK = 128 * 1024;

#if defined(__x86_64__)

extern "C" void gmatrix_switch_fiber(void** save, void* load) __attribute__((visibility("hidden")));

// Saves the registers that a callee must keep and the stack pointer, and takes over another fiber's.
asm(R"(
.text
.hidden gmatrix_switch_fiber
.globl gmatrix_switch_fiber
.type gmatrix_switch_fiber, @function
gmatrix_switch_fiber:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size gmatrix_switch_fiber, .-gmatrix_switch_fiber
)");

class Fiber {
  public:
    /// Makes it begin with `body`, which must not return, when it is gone to.
    void start(void (*body)()) {
        if (!stack) {
            stack.reset(static_cast<char*>(std::aligned_alloc(64, STACK)));
        }
        // Frames that another body never left are no longer there.
        watch::guard(stack.get(), STACK, false);
        // As if `body` had been called: a return address that is never used, so that the stack is aligned.
        void** top = reinterpret_cast<void**>(stack.get() + STACK);
        *--top = nullptr;
        *--top = reinterpret_cast<void*>(body);
        pointer = top - 6;
    }

    static void go(Fiber& from, Fiber& to) { gmatrix_switch_fiber(&from.pointer, to.pointer); }

  private:
    struct Free {
        void operator()(char* memory) const { std::free(memory); }
    };
    std::unique_ptr<char, Free> stack;
    void* pointer = nullptr;
};

#else

class Fiber {
  public:
    /// Makes it begin with `body`, which must not return, when it is gone to.
    void start(void (*body)()) {
        if (!stack) {
            stack.reset(new char[STACK]);
        }
        getcontext(&context);
        context.uc_stack.ss_sp = stack.get();
        context.uc_stack.ss_size = STACK;
        context.uc_link = nullptr;
        makecontext(&context, body, 0);
    }

    static void go(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }

  private:
    std::unique_ptr<char[]> stack;
    ucontext_t context = {};
};

#endif

} // namespace cuda_host
