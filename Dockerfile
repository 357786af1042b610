# The upstream image by digest, with labels and nothing else: no layer is added, so the distroless attack
# surface and upstream's own layers stay as they are. The defaults are kept by gateway-bot.
ARG AGENTGATEWAY_IMAGE=ghcr.io/agentgateway/agentgateway@sha256:c3ce7b75da90fef70239befcc1c3adc05152d7b9dd21fcb8351178026a2c4381

FROM ${AGENTGATEWAY_IMAGE}

ARG AGENTGATEWAY_REF=v1.3.1
ARG AGENTGATEWAY_VERSION=1.3.1

LABEL org.opencontainers.image.title="ai-gateway" \
      org.opencontainers.image.version="${AGENTGATEWAY_VERSION}" \
      org.opencontainers.image.base.name="ghcr.io/agentgateway/agentgateway:${AGENTGATEWAY_REF}"

# The gateway's listener; readiness is on 15021 and asked by ECS
EXPOSE 8787
