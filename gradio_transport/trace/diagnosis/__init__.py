# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of the calls of a trace: the probable cause, the evidence, and what to do."""
