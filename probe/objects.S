/* SPDX-License-Identifier: Apache-2.0 */
/* The two compilations of probe.bpf.c, as they are. */
	.section .rodata
	.globl modern_object, modern_object_end, plain_object, plain_object_end
	.balign 8
modern_object:
	.incbin "modern.bpf.o"
modern_object_end:
	.balign 8
plain_object:
	.incbin "plain.bpf.o"
plain_object_end:
	.section .note.GNU-stack, "", %progbits
